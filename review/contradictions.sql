-- Who said one thing and then another?

SELECT caller, subject, predicate, before, now, before_call, before_turn, now_call, now_turn
FROM fact_conflicts ORDER BY now_utc_ms DESC LIMIT 50;
