-- Where was it silent for long in the last thousand calls, and who broke the silence?

WITH said AS (
    SELECT call, turn, speaker, started_ms, ended_ms
    FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC LIMIT 1000) AS latest JOIN turns ON turns.call = latest.id
    WHERE speaker = 'caller' OR heard <> ''
),
gaps AS (
    SELECT call, started_ms AS to_ms, speaker AS broken_by,
           max(ended_ms) OVER (in_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS from_ms,
           lag(speaker) OVER in_order AS after_speaker
    FROM said WINDOW in_order AS (PARTITION BY call ORDER BY started_ms, turn)
)
SELECT call, from_ms, to_ms - from_ms AS gap_ms, after_speaker, broken_by
FROM gaps WHERE to_ms > from_ms ORDER BY gap_ms DESC LIMIT 50;
