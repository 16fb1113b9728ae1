-- Which promises are open, and which were due already?

SELECT caller, who, what, due, due < date('now') AS overdue, raised_utc, made_call, made_turn
FROM promises WHERE state = 'open' ORDER BY due IS NULL, due LIMIT 50;
