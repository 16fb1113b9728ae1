-- Which answers were the slowest, and which step made them so?

WITH slowest AS (
    SELECT call, turn, response_ms FROM turn_latency WHERE response_ms IS NOT NULL ORDER BY response_ms DESC LIMIT 20
)
SELECT slowest.call, slowest.turn, slowest.response_ms, steps.step AS slowest_step, max(steps.took_ms) AS it_took_ms, turns.text
FROM slowest
JOIN latency_steps AS steps ON steps.call = slowest.call AND steps.turn = slowest.turn
JOIN turns ON turns.call = slowest.call AND turns.turn = slowest.turn
GROUP BY slowest.call, slowest.turn
ORDER BY slowest.response_ms DESC;
