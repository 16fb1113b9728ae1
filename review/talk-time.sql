-- Who talks how much?

SELECT persona, count(*) AS calls, round(avg(caller_percent), 1) AS caller_percent, round(avg(agent_percent), 1) AS agent_percent
FROM talk_time JOIN calls ON calls.id = call GROUP BY persona;
