-- Where does the time of an answer go?

SELECT step, count(*) AS answers, round(avg(took_ms)) AS mean_ms, max(took_ms) AS worst_ms
FROM latency_steps GROUP BY step ORDER BY mean_ms DESC;
