-- Where did the agent begin to speak while the caller was speaking, in the last thousand calls?

SELECT agent.call, agent.turn, agent.started_ms, min(agent.ended_ms, caller.ended_ms) - agent.started_ms AS over_ms,
       agent.action, agent.heard AS agent_said, caller.text AS caller_said
FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC LIMIT 1000) AS latest
JOIN turns AS agent ON agent.call = latest.id AND agent.speaker = 'agent' AND agent.heard <> ''
JOIN turns AS caller ON caller.call = agent.call AND caller.speaker = 'caller' AND caller.typed = 0
                    AND caller.started_ms < agent.started_ms AND caller.ended_ms > agent.started_ms
ORDER BY over_ms DESC LIMIT 50;
