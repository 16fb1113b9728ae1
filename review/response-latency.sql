-- How quickly does the agent answer?

WITH ranked AS (
    SELECT response_ms, row_number() OVER (ORDER BY response_ms) AS place, count(*) OVER () AS answers
    FROM turn_latency WHERE response_ms IS NOT NULL
)
SELECT max(answers) AS answers,
       max(CASE WHEN place = (answers + 1) / 2 THEN response_ms END) AS p50_ms,
       max(CASE WHEN place = (95 * answers + 99) / 100 THEN response_ms END) AS p95_ms,
       max(response_ms) AS slowest_ms
FROM ranked;
