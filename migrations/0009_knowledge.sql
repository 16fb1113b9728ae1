-- What personas know from files, what an answer was given of it, what was searched for in the web, and where a new topic began.
--
-- Files are read in by `duologue knowledge index` and at the server's start; a file that has not changed (`sha256`) is left as it
-- is. The FTS5 table holds words in lower case without marks, each character of a script without spaces on its own, so that
-- Chinese is found by its characters; its `rowid` is the chunk's `id`.

CREATE TABLE knowledge_files (
    id             INTEGER PRIMARY KEY,
    persona        TEXT NOT NULL CHECK (persona <> ''),
    source         TEXT NOT NULL CHECK (source <> ''),
    sha256         TEXT NOT NULL CHECK (length(sha256) = 64),
    chunks         INTEGER NOT NULL CHECK (chunks >= 0),
    fault          TEXT,
    indexed_utc_ms INTEGER NOT NULL,
    UNIQUE (persona, source)
) STRICT;

CREATE TABLE knowledge_chunks (
    id      INTEGER PRIMARY KEY,
    file_id INTEGER NOT NULL REFERENCES knowledge_files (id) ON DELETE CASCADE,
    n       INTEGER NOT NULL CHECK (n > 0),
    heading TEXT NOT NULL,
    line    INTEGER CHECK (line > 0),
    page    INTEGER CHECK (page > 0),
    text    TEXT NOT NULL CHECK (text <> ''),
    UNIQUE (file_id, n)
) STRICT;

CREATE VIRTUAL TABLE knowledge_fts USING fts5 (persona, heading, text, tokenize = 'porter unicode61 remove_diacritics 2');

CREATE TRIGGER chunks_lost AFTER DELETE ON knowledge_chunks BEGIN
    DELETE FROM knowledge_fts WHERE rowid = old.id;
END;

-- One row for each passage that stood before the model when it made an agent's turn. The passage's own place is kept, since the
-- chunk goes when its file changes.
CREATE TABLE retrievals (
    id          INTEGER PRIMARY KEY,
    call        TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    turn        INTEGER NOT NULL CHECK (turn > 0),
    caller_turn INTEGER NOT NULL CHECK (caller_turn >= 0),
    at_ms       INTEGER NOT NULL CHECK (at_ms >= 0),
    words       TEXT NOT NULL,
    took_ms     REAL NOT NULL CHECK (took_ms >= 0),
    n           INTEGER NOT NULL CHECK (n > 0),
    origin      TEXT NOT NULL CHECK (origin IN ('file', 'web')),
    chunk_id    INTEGER REFERENCES knowledge_chunks (id) ON DELETE SET NULL,
    source      TEXT NOT NULL,
    heading     TEXT NOT NULL,
    line        INTEGER,
    page        INTEGER,
    rank        REAL NOT NULL,
    cited       INTEGER NOT NULL CHECK (cited IN (0, 1)),
    UNIQUE (call, turn, n)
) STRICT;

CREATE INDEX retrievals_by_chunk ON retrievals (chunk_id) WHERE chunk_id IS NOT NULL;

CREATE TABLE searches (
    id          INTEGER PRIMARY KEY,
    call        TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    turn        INTEGER NOT NULL CHECK (turn > 0),
    caller_turn INTEGER NOT NULL CHECK (caller_turn >= 0),
    at_ms       INTEGER NOT NULL CHECK (at_ms >= 0),
    query       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    took_ms     INTEGER NOT NULL CHECK (took_ms >= 0),
    results     INTEGER NOT NULL CHECK (results >= 0),
    outcome     TEXT NOT NULL CHECK (outcome IN ('found', 'nothing', 'late', 'failed', 'dropped')),
    detail      TEXT NOT NULL
) STRICT;

CREATE INDEX searches_by_turn ON searches (call, turn);

-- From this turn on the model sees nothing that was said before.
CREATE TABLE topics (
    id       INTEGER PRIMARY KEY,
    call     TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    turn     INTEGER NOT NULL CHECK (turn >= 0),
    at_ms    INTEGER NOT NULL CHECK (at_ms >= 0),
    asked_by TEXT NOT NULL CHECK (asked_by IN ('words', 'message'))
) STRICT;

CREATE INDEX topics_by_call ON topics (call, at_ms);

-- What answers rest on: one row for each place that an answer took something from.
CREATE VIEW cited_answers AS
SELECT r.call,
       r.turn,
       asked.text AS caller_said,
       answer.text AS agent_said,
       r.origin,
       r.source,
       r.heading,
       r.line,
       r.page
FROM retrievals AS r
JOIN turns AS answer ON answer.call = r.call AND answer.turn = r.turn
LEFT JOIN turns AS asked ON asked.call = r.call AND asked.turn = r.caller_turn
WHERE r.cited = 1;
