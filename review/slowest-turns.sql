-- Which answers were the slowest, and which step made them so?

WITH slowest AS MATERIALIZED (
    SELECT *, coalesce(speech_end_ms, turn_end_ms) AS from_ms,
           first_packet_ms - coalesce(speech_end_ms, turn_end_ms) AS response_ms
    FROM turns
    WHERE speaker = 'agent' AND first_packet_ms IS NOT NULL AND first_packet_ms - coalesce(speech_end_ms, turn_end_ms) IS NOT NULL
    ORDER BY first_packet_ms - coalesce(speech_end_ms, turn_end_ms) DESC LIMIT 20
),
moments (id, step, at_ms, rank) AS (
    SELECT id, 'endpoint', turn_end_ms, 1 FROM slowest
    UNION ALL SELECT id, 'asr', asr_ms, 2 FROM slowest
    UNION ALL SELECT id, 'judge', judge_ms, 3 FROM slowest
    UNION ALL SELECT id, 'first token', first_token_ms, 4 FROM slowest
    UNION ALL SELECT id, 'first clause', first_clause_ms, 5 FROM slowest
    UNION ALL SELECT id, 'first audio', first_audio_ms, 6 FROM slowest
    UNION ALL SELECT id, 'first packet', first_packet_ms, 7 FROM slowest
),
steps AS (
    SELECT moments.id, step,
           at_ms - lag(at_ms, 1, from_ms) OVER (PARTITION BY moments.id ORDER BY at_ms, rank) AS took_ms
    FROM moments JOIN slowest ON slowest.id = moments.id WHERE at_ms IS NOT NULL
)
SELECT slowest.call, slowest.turn, slowest.response_ms, steps.step AS slowest_step, max(steps.took_ms) AS it_took_ms, slowest.text
FROM slowest JOIN steps ON steps.id = slowest.id
GROUP BY slowest.id
ORDER BY slowest.response_ms DESC;
