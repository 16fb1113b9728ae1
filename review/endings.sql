-- How do calls end?

SELECT end_reason, meaning, count(*) AS calls, round(avg(duration_ms) / 1000.0, 1) AS mean_s
FROM calls JOIN end_reasons ON reason = end_reason GROUP BY end_reason ORDER BY calls DESC;
