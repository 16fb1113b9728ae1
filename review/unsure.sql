-- Which decisions was the judge least sure of? (Worth a label.)

SELECT call, turn, action, probability, reason, caller_said
FROM decisions WHERE probability IS NOT NULL ORDER BY probability, call DESC LIMIT 50;
