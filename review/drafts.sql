-- How often was a reply right that was begun before the turn was over?

SELECT json ->> 'adopted' AS adopted, count(*) AS drafts, sum(json ->> 'tokens') AS tokens,
       round(sum(json ->> 'spent_ms') / 1000.0, 1) AS spent_s
FROM events WHERE type = 'draft' GROUP BY adopted;
