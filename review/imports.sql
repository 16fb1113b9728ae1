-- Which calls were held elsewhere and came in as a file, and who signed for them?

SELECT imports.call, strftime('%Y-%m-%dT%H:%M:%SZ', imports.at_utc_ms / 1000, 'unixepoch') AS imported_utc, made_by,
       coalesce(signed_by, 'nobody') AS signed_by, callers.name AS caller, persona
FROM imports JOIN calls ON calls.id = imports.call LEFT JOIN callers ON callers.id = caller_id
ORDER BY imports.at_utc_ms DESC LIMIT 50;
