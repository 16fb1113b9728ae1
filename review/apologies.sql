-- Where did the agent say sorry, and for what?

SELECT turns.call, turns.turn, turns.heard AS agent_said,
       (SELECT before.text FROM turns AS before
        WHERE before.call = turns.call AND before.turn < turns.turn AND before.speaker = 'caller'
        ORDER BY before.turn DESC LIMIT 1) AS caller_said
FROM said_fts JOIN turns ON turns.id = said_fts.rowid
WHERE said_fts MATCH 'sorry OR apolog* OR "my mistake" OR "i was wrong"' AND turns.speaker = 'agent' AND turns.heard <> ''
ORDER BY said_fts.rowid DESC LIMIT 50;
