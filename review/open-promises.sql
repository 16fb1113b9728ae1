-- Which promises are open, and which were due already?

SELECT callers.name AS caller, who, what, due, due < date('now') AS overdue, turns.call, turns.turn
FROM commitments
JOIN callers ON callers.id = commitments.caller_id
LEFT JOIN turns ON turns.id = commitments.source_turn_id
WHERE state = 'open' ORDER BY due IS NULL, due LIMIT 50;
