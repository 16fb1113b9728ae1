-- What was refused, why, and on which fact does it rest?

SELECT decisions.call, decisions.turn, decisions.reason, decisions.rests_on, decisions.probability, decisions.caller_said,
       decisions.agent_said
FROM decisions WHERE action = 'refuse' ORDER BY decisions.call DESC, decisions.turn LIMIT 50;
