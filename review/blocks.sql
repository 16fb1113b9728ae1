-- Who is or was blocked, and why?

SELECT callers.name AS caller, call, reason, strftime('%Y-%m-%dT%H:%M:%SZ', until_utc_ms / 1000, 'unixepoch') AS until_utc,
       lifted_utc_ms IS NOT NULL AS lifted
FROM blocks JOIN callers ON callers.id = caller_id ORDER BY from_utc_ms DESC LIMIT 50;
