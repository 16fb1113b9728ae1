-- Where was it silent for long, and who broke the silence?

SELECT call, from_ms, gap_ms, after_speaker, before_speaker AS broken_by
FROM silence_gaps ORDER BY gap_ms DESC LIMIT 50;
