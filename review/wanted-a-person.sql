-- Who asked for a person, and what was answered?

SELECT turns.call, turns.turn, turns.text AS caller_said,
       (SELECT after.heard FROM turns AS after
        WHERE after.call = turns.call AND after.turn > turns.turn AND after.speaker = 'agent' AND after.outcome <> 'revoked'
        ORDER BY after.turn LIMIT 1) AS agent_said
FROM said_fts JOIN turns ON turns.id = said_fts.rowid
WHERE said_fts MATCH '"real person" OR human OR "a person" OR "your boss" OR manager OR operator' AND turns.speaker = 'caller'
ORDER BY said_fts.rowid DESC LIMIT 50;
