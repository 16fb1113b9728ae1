-- In which calls was the agent talked over most?

SELECT barge_ins.call, count(*) AS barge_ins, max(call_overview.agent_turns) AS agent_turns, max(caller) AS caller,
       max(persona) AS persona
FROM barge_ins JOIN call_overview ON call_overview.call = barge_ins.call
GROUP BY barge_ins.call ORDER BY barge_ins DESC LIMIT 20;
