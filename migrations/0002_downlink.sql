-- The way to the caller: what the caller's own reports (RTCP) say of how the agent's packets arrive, and how redundantly
-- the agent was sent because of it.
--
-- One row is one report, with what was sent since the row before; the last row of a call has no report and accounts for
-- what was left. A report that was lost takes nothing with it: its counts are in the next one.

CREATE TABLE downlink_stats (
    id               INTEGER PRIMARY KEY,
    call             TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    at_ms            INTEGER NOT NULL CHECK (at_ms >= 0),
    packets_expected INTEGER CHECK (packets_expected >= 0),
    packets_lost     INTEGER CHECK (packets_lost BETWEEN 0 AND packets_expected),
    jitter_ms        REAL CHECK (jitter_ms >= 0),
    rtt_ms           REAL CHECK (rtt_ms >= 0),
    packets_sent     INTEGER NOT NULL CHECK (packets_sent >= 0),
    copies_sent      INTEGER NOT NULL CHECK (copies_sent >= 0),
    payload_bytes    INTEGER NOT NULL CHECK (payload_bytes >= 0),
    copies           INTEGER NOT NULL CHECK (copies BETWEEN 0 AND 4),
    fec_percent      INTEGER NOT NULL CHECK (fec_percent BETWEEN 0 AND 100),
    bitrate_bps      INTEGER NOT NULL CHECK (bitrate_bps > 0),
    CHECK ((packets_expected IS NULL) = (packets_lost IS NULL) AND (packets_expected IS NULL) = (jitter_ms IS NULL))
) STRICT;

CREATE INDEX downlink_stats_by_call ON downlink_stats (call, at_ms);

-- One line a call. The loss is weighed by packets, jitter and round trip by report.
CREATE VIEW downlink AS
SELECT call,
       count(packets_expected) AS reports,
       sum(packets_expected) AS packets_expected,
       sum(packets_lost) AS packets_lost,
       CASE WHEN sum(packets_expected) > 0
            THEN round(100.0 * sum(packets_lost) / sum(packets_expected), 2)
       END AS loss_percent,
       max(CASE WHEN packets_expected > 0 THEN round(100.0 * packets_lost / packets_expected, 2) END) AS loss_worst_percent,
       round(avg(jitter_ms), 1) AS jitter_ms,
       round(avg(rtt_ms), 1) AS rtt_ms,
       round(max(rtt_ms), 1) AS rtt_worst_ms,
       sum(packets_sent) AS packets_sent,
       sum(copies_sent) AS copies_sent,
       CASE WHEN sum(packets_sent) > 0 THEN round(1.0 * sum(copies_sent) / sum(packets_sent), 2) END AS copies_per_packet,
       sum(payload_bytes) AS payload_bytes
FROM downlink_stats
GROUP BY call;
