-- What failed, and in how many calls?

SELECT json ->> 'code' AS code, count(*) AS times, count(DISTINCT call) AS calls, max(call) AS latest_call,
       max(json ->> 'detail') AS detail
FROM events WHERE type = 'trouble' GROUP BY code ORDER BY times DESC;
