-- What was deflected or met with silence?

SELECT call, turn, action, reason, rests_on, caller_said, agent_said
FROM decisions WHERE action IN ('deflect', 'silence') ORDER BY call DESC, turn LIMIT 50;
