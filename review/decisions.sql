-- What does each persona decide, how surely and how fast?

SELECT persona, action, count(*) AS times, round(avg(probability), 2) AS mean_probability, round(avg(took_ms), 1) AS mean_took_ms
FROM decisions JOIN calls ON calls.id = call GROUP BY persona, action ORDER BY persona, times DESC;
