-- What were the last calls?

SELECT * FROM call_overview ORDER BY started_utc DESC LIMIT 20;
