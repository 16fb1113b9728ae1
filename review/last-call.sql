-- What was said in the last call?

SELECT started_ms / 1000.0 AS at_s, speaker, coalesce(heard, text) AS said, outcome
FROM turns
WHERE call = (SELECT id FROM calls ORDER BY started_utc_ms DESC, id DESC LIMIT 1)
ORDER BY started_ms;
