-- What does this file not have?

SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at_utc_ms / 1000, 'unixepoch') AS at_utc, type, entries, call, detail
FROM incidents ORDER BY at_utc_ms DESC LIMIT 50;
