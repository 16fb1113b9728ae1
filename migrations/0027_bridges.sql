-- Two calls whose sides hear each other, or were to: somebody was called to take a caller over (`handover`), or two calls that there were
-- already were connected (`bridge`). What either side says stands with its own call.

CREATE TABLE bridges (
    id            TEXT PRIMARY KEY,
    call          TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    other         TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    kind          TEXT NOT NULL CHECK (kind IN ('handover', 'bridge')),
    asked_utc_ms  INTEGER NOT NULL,
    joined_utc_ms INTEGER CHECK (joined_utc_ms >= asked_utc_ms),
    ended_utc_ms  INTEGER CHECK (ended_utc_ms >= asked_utc_ms),
    outcome       TEXT CHECK (outcome IN ('call-ended', 'other-ended', 'parted', 'busy', 'declined', 'no-answer', 'unreachable', 'crash')),
    passed        INTEGER NOT NULL DEFAULT 0 CHECK (passed >= 0),
    missing       INTEGER NOT NULL DEFAULT 0 CHECK (missing >= 0),
    dropped       INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0),
    relayed       INTEGER NOT NULL DEFAULT 0 CHECK (relayed >= 0),
    CHECK (call <> other),
    CHECK ((ended_utc_ms IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX bridges_by_call ON bridges (call);
CREATE INDEX bridges_by_other ON bridges (other);

-- The calls in which a caller is heard, or spoken of: `own`; `handed-over`, whose other side was told of him; `bridged`, whose recording has
-- his voice.
CREATE VIEW heard_in (caller_id, call, how) AS
    SELECT caller_id, id, 'own' FROM calls WHERE caller_id IS NOT NULL
    UNION
    SELECT caller_id, other, CASE kind WHEN 'handover' THEN 'handed-over' ELSE 'bridged' END
    FROM bridges JOIN calls ON calls.id = call WHERE caller_id IS NOT NULL
    UNION
    SELECT caller_id, call, 'bridged' FROM bridges JOIN calls ON calls.id = other
    WHERE caller_id IS NOT NULL AND joined_utc_ms IS NOT NULL;
