-- How quickly does the agent answer?

WITH answered AS (
    SELECT count(*) AS answers FROM turns
    WHERE speaker = 'agent' AND first_packet_ms IS NOT NULL AND first_packet_ms - coalesce(speech_end_ms, turn_end_ms) IS NOT NULL
),
ranked AS (
    SELECT first_packet_ms - coalesce(speech_end_ms, turn_end_ms) AS response_ms FROM turns
    WHERE speaker = 'agent' AND first_packet_ms IS NOT NULL AND first_packet_ms - coalesce(speech_end_ms, turn_end_ms) IS NOT NULL
    ORDER BY first_packet_ms - coalesce(speech_end_ms, turn_end_ms)
)
SELECT answers,
       (SELECT response_ms FROM ranked LIMIT 1 OFFSET (SELECT (answers - 1) / 2 FROM answered)) AS p50_ms,
       (SELECT response_ms FROM ranked LIMIT 1 OFFSET (SELECT (95 * answers + 99) / 100 - 1 FROM answered)) AS p95_ms,
       (SELECT max(first_packet_ms - coalesce(speech_end_ms, turn_end_ms)) FROM turns
        WHERE speaker = 'agent' AND first_packet_ms IS NOT NULL) AS slowest_ms
FROM answered;
