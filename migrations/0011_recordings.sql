-- How a call sounded: the file beside this one that has both sides on the call's own clock, and what became of it.
--
-- `file` is a name in the folder of `recording.dir`. A moment t of the call, in milliseconds, lies at t - started_ms in the
-- file. `sha256`, `bytes` and `duration_ms` are NULL while it is being written. A recording that is gone keeps its row, which
-- says since when and why: retention, the caller's wish, the caller's erasure, the operator.

CREATE TABLE recordings (
    call           TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    file           TEXT NOT NULL CHECK (file <> ''),
    started_ms     INTEGER NOT NULL CHECK (started_ms >= 0),
    duration_ms    INTEGER CHECK (duration_ms >= 0),
    bytes          INTEGER CHECK (bytes >= 0),
    sha256         TEXT CHECK (length(sha256) = 64),
    lost_ms        INTEGER NOT NULL DEFAULT 0 CHECK (lost_ms >= 0),
    removed_utc_ms INTEGER,
    removed_why    TEXT CHECK (removed_why IN ('retention', 'opt-out', 'erased', 'operator')),
    CHECK ((removed_utc_ms IS NULL) = (removed_why IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX recordings_kept ON recordings (call) WHERE removed_utc_ms IS NULL;
