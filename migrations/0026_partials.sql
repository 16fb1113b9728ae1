-- What the recogniser heard before it was sure, and how the line was, moment by moment, as rows: both were to be had only out of
-- the JSON of `events`.

CREATE VIEW partials AS
SELECT call,
       json ->> 'turn' AS turn,
       at_ms,
       json ->> 'text' AS text,
       json ->> 'stable' AS stable_words
FROM events
WHERE type = 'partial';

CREATE VIEW rtp_stats AS
SELECT call,
       at_ms,
       CASE type WHEN 'quality' THEN 'from-caller' ELSE 'to-caller' END AS direction,
       round(100.0 * (json ->> 'loss'), 2) AS loss_percent,
       round(100.0 * (json ->> 'late'), 2) AS late_percent,
       round(100.0 * (json ->> 'concealed'), 2) AS concealed_percent,
       round(100.0 * (json ->> 'recovered'), 2) AS recovered_percent,
       json ->> 'delay_ms' AS delay_ms,
       round(json ->> 'jitter_ms', 1) AS jitter_ms,
       round(json ->> 'rtt_ms', 1) AS rtt_ms,
       json ->> 'copies' AS copies,
       json ->> 'hold_ms' AS hold_ms
FROM events
WHERE type IN ('quality', 'line');
