-- What the receiver of webhooks was not told, and why.
--
-- A row is one message that was given up, or, without `call`, `type` and `message`, so many `messages` that found no room while the
-- receiver was behind. What happened is in the call's own rows all the same: this says what the other side does not know.

CREATE TABLE undelivered (
    id        INTEGER PRIMARY KEY,
    at_utc_ms INTEGER NOT NULL,
    call      TEXT REFERENCES calls (id) ON DELETE CASCADE,
    type      TEXT CHECK (type <> ''),
    message   TEXT CHECK (message <> ''),
    messages  INTEGER NOT NULL CHECK (messages > 0),
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    why       TEXT NOT NULL CHECK (why <> ''),
    CHECK ((call IS NULL) = (type IS NULL) AND (call IS NULL) = (message IS NULL))
) STRICT;

CREATE INDEX undelivered_by_call ON undelivered (call) WHERE call IS NOT NULL;
