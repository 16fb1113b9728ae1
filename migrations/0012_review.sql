-- What a reviewer asks of every call: who talked how much, where nobody did, and what lay behind each decision.

-- Who talked how much: shares of the call's length. What was typed took no time; an agent turn counts as far as it was heard.
CREATE VIEW talk_time AS
SELECT calls.id AS call,
       calls.duration_ms,
       coalesce(sum(CASE WHEN speaker = 'caller' AND typed = 0 THEN ended_ms - turns.started_ms END), 0) AS caller_ms,
       coalesce(sum(CASE WHEN speaker = 'agent' AND heard <> '' THEN ended_ms - turns.started_ms END), 0) AS agent_ms,
       round(100.0 * coalesce(sum(CASE WHEN speaker = 'caller' AND typed = 0 THEN ended_ms - turns.started_ms END), 0)
             / nullif(calls.duration_ms, 0), 1) AS caller_percent,
       round(100.0 * coalesce(sum(CASE WHEN speaker = 'agent' AND heard <> '' THEN ended_ms - turns.started_ms END), 0)
             / nullif(calls.duration_ms, 0), 1) AS agent_percent
FROM calls LEFT JOIN turns ON turns.call = calls.id
WHERE calls.duration_ms IS NOT NULL
GROUP BY calls.id;

-- Where nobody talked: from the end of everything said so far to the next turn that was heard.
CREATE VIEW silence_gaps AS
SELECT call, after_turn, before_turn, from_ms, to_ms, to_ms - from_ms AS gap_ms, before_speaker, after_speaker
FROM (SELECT call,
             turn AS before_turn,
             speaker AS before_speaker,
             started_ms AS to_ms,
             max(ended_ms) OVER earlier AS from_ms,
             lag(turn) OVER in_order AS after_turn,
             lag(speaker) OVER in_order AS after_speaker
      FROM turns
      WHERE speaker = 'caller' OR heard <> ''
      WINDOW in_order AS (PARTITION BY call ORDER BY started_ms, turn),
             earlier AS (PARTITION BY call ORDER BY started_ms, turn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
WHERE to_ms > from_ms;

-- Every decision with its reason and the fact that it rests on, where that is still known: with the turn that it was said in.
CREATE VIEW judgement_reasons AS
SELECT judgements.id AS judgement,
       judgements.call,
       judgements.turn,
       judgements.at_ms,
       judgements.moment,
       judgements.judge,
       judgements.action,
       judgements.reason,
       judgements.overruled_by,
       judgements.rests_on,
       facts.id AS fact,
       source.call AS fact_call,
       source.turn AS fact_turn,
       judgements.text AS caller_said
FROM judgements
LEFT JOIN judgement_facts ON judgement_facts.judgement_id = judgements.id
LEFT JOIN facts ON facts.id = judgement_facts.fact_id
LEFT JOIN turns AS source ON source.id = facts.source_turn_id;
