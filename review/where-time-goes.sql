-- Where does the time of an answer go, in the last three hundred calls?

WITH answers AS MATERIALIZED (
    SELECT turns.id, coalesce(speech_end_ms, turn_end_ms) AS from_ms, turn_end_ms, asr_ms, judge_ms, first_token_ms,
           first_clause_ms, first_audio_ms, first_packet_ms
    FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC LIMIT 300) AS latest
    JOIN turns ON turns.call = latest.id
    WHERE speaker = 'agent' AND coalesce(speech_end_ms, turn_end_ms) IS NOT NULL
),
moments (id, step, from_ms, at_ms, rank) AS (
    SELECT id, 'endpoint', from_ms, turn_end_ms, 1 FROM answers
    UNION ALL SELECT id, 'asr', from_ms, asr_ms, 2 FROM answers
    UNION ALL SELECT id, 'judge', from_ms, judge_ms, 3 FROM answers
    UNION ALL SELECT id, 'first token', from_ms, first_token_ms, 4 FROM answers
    UNION ALL SELECT id, 'first clause', from_ms, first_clause_ms, 5 FROM answers
    UNION ALL SELECT id, 'first audio', from_ms, first_audio_ms, 6 FROM answers
    UNION ALL SELECT id, 'first packet', from_ms, first_packet_ms, 7 FROM answers
),
steps AS (
    SELECT step, at_ms - lag(at_ms, 1, from_ms) OVER (PARTITION BY id ORDER BY at_ms, rank) AS took_ms
    FROM moments WHERE at_ms IS NOT NULL
)
SELECT step, count(*) AS answers, round(avg(took_ms)) AS mean_ms, max(took_ms) AS worst_ms
FROM steps GROUP BY step ORDER BY mean_ms DESC;
