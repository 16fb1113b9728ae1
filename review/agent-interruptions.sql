-- How often did the agent cut in, and who yielded?

SELECT persona, reason, count(*) AS times, sum(yielded = 'caller') AS caller_yielded, sum(yielded = 'agent') AS agent_yielded
FROM interruptions JOIN calls ON calls.id = call GROUP BY persona, reason ORDER BY times DESC;
