-- Where did callers talk over the agent, and how soon did it stop?

SELECT call, at_ms, stopped_after_ms, heard, unheard, caller_said
FROM barge_ins ORDER BY stopped_after_ms DESC LIMIT 50;
