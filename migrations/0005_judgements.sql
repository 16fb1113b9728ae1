-- What the judge said and what was done, each a row that joins to the caller's turn; and callers that are refused for a while.

CREATE TABLE actions (
    action  TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO actions (action, meaning) VALUES
    ('listen',      'say nothing: the caller holds the floor, or asked for a moment'),
    ('backchannel', 'a sign of attention that takes no floor'),
    ('interrupt',   'take the floor from a speaking caller'),
    ('respond',     'the normal reply'),
    ('refuse',      'a clear no, with its reason'),
    ('deflect',     'a vague answer, another topic, or an answer later'),
    ('silence',     'say nothing and stay'),
    ('block',       'end the call and refuse the caller for a while'),
    ('initiate',    'speak first');

-- `proposed` is the judge's, `action` what was done; where they differ, `overruled_by` names the budget or never-rule of the
-- persona. `rests_on` is the sentence of memory that decided it. A turn is judged at its end, and, by judges that read along,
-- while it is spoken (`moment` = 'caller', `text` = the partial).
CREATE TABLE judgements (
    id            INTEGER PRIMARY KEY,
    call          TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    turn          INTEGER NOT NULL CHECK (turn > 0),
    at_ms         INTEGER NOT NULL CHECK (at_ms >= 0),
    moment        TEXT NOT NULL CHECK (moment IN ('caller', 'end_of_turn', 'idle')),
    judge         TEXT NOT NULL CHECK (judge <> ''),
    text          TEXT NOT NULL,
    proposed      TEXT NOT NULL REFERENCES actions (action),
    action        TEXT NOT NULL REFERENCES actions (action),
    overruled_by  TEXT,
    reason        TEXT NOT NULL,
    rests_on      TEXT,
    probabilities TEXT NOT NULL CHECK (json_valid(probabilities)),
    took_ms       REAL NOT NULL CHECK (took_ms >= 0),
    CHECK (overruled_by IS NOT NULL OR proposed = action)
) STRICT;

CREATE INDEX judgements_by_turn ON judgements (call, turn, at_ms);

-- A block ends by itself at `until_utc_ms`, or when an operator lifts it.
CREATE TABLE blocks (
    id            INTEGER PRIMARY KEY,
    caller_id     INTEGER NOT NULL REFERENCES callers (id) ON DELETE CASCADE,
    call          TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    reason        TEXT NOT NULL CHECK (reason <> ''),
    from_utc_ms   INTEGER NOT NULL,
    until_utc_ms  INTEGER NOT NULL,
    lifted_utc_ms INTEGER,
    CHECK (until_utc_ms > from_utc_ms)
) STRICT;

CREATE INDEX blocks_by_caller ON blocks (caller_id, until_utc_ms);
CREATE INDEX blocks_by_call ON blocks (call);

-- Every decision at the end of a turn, with what the caller said and what the agent answered.
CREATE VIEW decisions AS
SELECT j.call, j.turn, j.at_ms, j.judge, j.action, j.reason, j.proposed, j.overruled_by, j.rests_on,
       round(json_extract(j.probabilities, '$.' || j.action), 3) AS probability,
       j.took_ms,
       j.text AS caller_said,
       (SELECT t.text FROM turns t
        WHERE t.call = j.call AND t.speaker = 'agent' AND t.outcome <> 'revoked' AND t.started_ms >= j.at_ms
        ORDER BY t.started_ms LIMIT 1) AS agent_said
FROM judgements j
WHERE j.moment = 'end_of_turn';

-- Every time that the agent cut in, and who had the floor after it.
CREATE VIEW interruptions AS
SELECT t.call, t.turn, t.started_ms, t.reason, t.heard, t.outcome,
       CASE t.outcome WHEN 'interrupted' THEN 'agent' WHEN 'completed' THEN 'caller' END AS yielded
FROM turns t
WHERE t.speaker = 'agent' AND t.action = 'interrupt';
