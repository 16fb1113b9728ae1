-- What people who listen to a call afterwards have to say about it, at a moment of it or about the whole.

CREATE TABLE notes (
    id        INTEGER PRIMARY KEY,
    call      TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    at_ms     INTEGER CHECK (at_ms >= 0),
    text      TEXT NOT NULL CHECK (text <> ''),
    by        TEXT NOT NULL CHECK (by <> ''),
    at_utc_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX notes_by_call ON notes (call, at_ms);
