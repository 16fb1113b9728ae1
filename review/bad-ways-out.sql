-- To whom did the agent's sound arrive badly, in the last thousand calls?

SELECT call, count(packets_expected) AS reports, round(100.0 * sum(packets_lost) / nullif(sum(packets_expected), 0), 2) AS loss_percent,
       max(round(100.0 * packets_lost / nullif(packets_expected, 0), 2)) AS loss_worst_percent, round(max(rtt_ms), 1) AS rtt_worst_ms,
       round(1.0 * sum(copies_sent) / nullif(sum(packets_sent), 0), 2) AS copies_per_packet
FROM (SELECT id FROM calls ORDER BY started_utc_ms DESC LIMIT 1000) AS latest
CROSS JOIN downlink_stats ON downlink_stats.call = latest.id GROUP BY call ORDER BY loss_percent DESC LIMIT 50;
