-- What does each persona decide, how surely and how fast, in the last thousand calls?

WITH latest AS MATERIALIZED (SELECT id, persona FROM calls ORDER BY started_utc_ms DESC LIMIT 1000)
SELECT persona, action, count(*) AS times, round(avg(probability), 2) AS mean_probability, round(avg(took_ms), 1) AS mean_took_ms
FROM latest JOIN decisions ON decisions.call = latest.id GROUP BY persona, action ORDER BY persona, times DESC;
