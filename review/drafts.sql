-- How often was a reply right that was begun before the turn was over, in the last thousand calls?

SELECT json ->> 'adopted' AS adopted, count(*) AS drafts, sum(json ->> 'tokens') AS tokens,
       round(sum(json ->> 'spent_ms') / 1000.0, 1) AS spent_s
FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC LIMIT 1000) AS latest
CROSS JOIN events ON events.type = 'draft' AND events.call = latest.id GROUP BY adopted;
