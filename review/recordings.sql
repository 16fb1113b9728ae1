-- Which recordings are there?

SELECT call, file, duration_ms / 1000 AS seconds, bytes, lost_ms, sha256
FROM recordings WHERE removed_utc_ms IS NULL ORDER BY call DESC LIMIT 50;
