-- Which callers had a bad line?

SELECT call, heard_s, loss_percent, late_percent, concealed_percent, jitter_delay_p95_ms, drift_ppm
FROM quality ORDER BY concealed_percent DESC, loss_percent DESC LIMIT 50;
