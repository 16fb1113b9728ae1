-- What did callers say last before they hung up?

SELECT calls.id AS call, calls.duration_ms / 1000 AS after_s, turns.text
FROM calls
JOIN turns ON turns.id = (SELECT id FROM turns AS last WHERE last.call = calls.id AND last.speaker = 'caller'
                          ORDER BY last.turn DESC LIMIT 1)
WHERE calls.end_reason = 'caller-hangup' ORDER BY calls.started_utc_ms DESC LIMIT 50;
