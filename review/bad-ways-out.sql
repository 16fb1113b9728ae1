-- To whom did the agent's sound arrive badly?

SELECT call, reports, loss_percent, loss_worst_percent, rtt_ms, copies_per_packet
FROM downlink ORDER BY loss_percent DESC LIMIT 50;
