-- What a call was told, tick by tick: its input journal, a file beside the recording, from which `duologue replay` runs it again.
--
-- `file` is a name in the folder of `recording.dir`. `bytes` and `records` are NULL while it is being written. Where `lost` is not 0
-- the disk was behind, and the call can be replayed up to there only. A journal goes with the recording, and for the same reasons.

CREATE TABLE journals (
    call           TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    file           TEXT NOT NULL CHECK (file <> ''),
    bytes          INTEGER CHECK (bytes >= 0),
    records        INTEGER CHECK (records >= 0),
    lost           INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0),
    removed_utc_ms INTEGER,
    removed_why    TEXT CHECK (removed_why IN ('retention', 'opt-out', 'erased', 'operator')),
    CHECK ((removed_utc_ms IS NULL) = (removed_why IS NULL))
) STRICT, WITHOUT ROWID;
