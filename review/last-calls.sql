-- What were the last calls?

SELECT call_overview.*
FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC, id DESC LIMIT 20) AS latest
JOIN call_overview ON call_overview.call = latest.id
ORDER BY started_utc DESC, call DESC;
