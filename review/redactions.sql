-- What was taken out of calls afterwards, and why?

SELECT call, from_ms, to_ms, why, asked_by, strftime('%Y-%m-%dT%H:%M:%SZ', at_utc_ms / 1000, 'unixepoch') AS at_utc,
       turns, words, facts, last_page - first_page + 1 AS pages
FROM redactions ORDER BY at_utc_ms DESC LIMIT 50;
