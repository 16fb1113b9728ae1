-- Where did callers show that they listen, and the agent went on?

SELECT events.call, events.at_ms, json ->> 'text' AS said, turns.heard AS agent_said
FROM events LEFT JOIN turns ON turns.call = events.call AND turns.turn = json ->> 'turn'
WHERE type = 'backchannel' ORDER BY events.call DESC, events.at_ms LIMIT 50;
