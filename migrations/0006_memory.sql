-- What is remembered of callers, across calls: facts with the time in which they held and the turn that they rest on,
-- promises, what each call was about, and words by which all of it is found.
--
-- A fact is never overwritten. Where a slot (`slot` = 1: a name, a room) gets another value, the row before gets
-- `valid_to_utc_ms` and `superseded_by`; both stay, with their sources. `text` is the fact as a short line, as the language
-- model and the judge read it. What was in the table `memory` becomes facts of the kind `note`; `memory` is a view now, with
-- the same columns.
--
-- The FTS5 tables keep the caller beside the words, so that a search is one caller's from the beginning. They are plain ones:
-- SQLite 3.40 reads them, and after `optimize` no deleted word is left in them.

CREATE TABLE fact_kinds (
    kind    TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO fact_kinds (kind, meaning) VALUES
    ('identity',   'who somebody is and how to reach them'),
    ('preference', 'what somebody likes, needs or cannot have'),
    ('plan',       'what is going to happen'),
    ('event',      'what has happened, on a day'),
    ('note',       'words without a form');

CREATE TABLE facts (
    id                INTEGER PRIMARY KEY,
    caller_id         INTEGER NOT NULL REFERENCES callers (id) ON DELETE CASCADE,
    kind              TEXT NOT NULL REFERENCES fact_kinds (kind),
    subject           TEXT NOT NULL CHECK (subject <> ''),
    predicate         TEXT NOT NULL CHECK (predicate <> ''),
    value             TEXT NOT NULL CHECK (value <> ''),
    slot              INTEGER NOT NULL CHECK (slot IN (0, 1)),
    text              TEXT NOT NULL CHECK (text <> ''),
    day               TEXT CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    confidence        REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    source_turn_id    INTEGER REFERENCES turns (id) ON DELETE SET NULL,
    said_times        INTEGER NOT NULL DEFAULT 1 CHECK (said_times >= 1),
    last_said_utc_ms  INTEGER NOT NULL,
    valid_from_utc_ms INTEGER NOT NULL,
    valid_to_utc_ms   INTEGER CHECK (valid_to_utc_ms >= valid_from_utc_ms),
    superseded_by     INTEGER REFERENCES facts (id) ON DELETE SET NULL,
    CHECK (superseded_by IS NULL OR valid_to_utc_ms IS NOT NULL)
) STRICT;

CREATE INDEX facts_by_caller ON facts (caller_id, last_said_utc_ms);
CREATE UNIQUE INDEX facts_one_value ON facts (caller_id, subject, predicate) WHERE slot = 1 AND valid_to_utc_ms IS NULL;
CREATE INDEX facts_by_source ON facts (source_turn_id) WHERE source_turn_id IS NOT NULL;
CREATE INDEX facts_by_successor ON facts (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX facts_by_day ON facts (caller_id, day) WHERE day IS NOT NULL;

CREATE TABLE commitments (
    id             INTEGER PRIMARY KEY,
    caller_id      INTEGER NOT NULL REFERENCES callers (id) ON DELETE CASCADE,
    who            TEXT NOT NULL CHECK (who IN ('caller', 'agent')),
    what           TEXT NOT NULL CHECK (what <> ''),
    due            TEXT CHECK (due GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'kept', 'dropped')),
    source_turn_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
    made_utc_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX commitments_by_caller ON commitments (caller_id, state, made_utc_ms);
CREATE INDEX commitments_by_source ON commitments (source_turn_id) WHERE source_turn_id IS NOT NULL;

CREATE TABLE call_summaries (
    call TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    text TEXT NOT NULL CHECK (text <> '')
) STRICT, WITHOUT ROWID;

-- That somebody was forgotten, never who or what.
CREATE TABLE erasures (
    id        INTEGER PRIMARY KEY,
    at_utc_ms INTEGER NOT NULL,
    asked_by  TEXT NOT NULL CHECK (asked_by IN ('caller', 'operator', 'http')),
    facts     INTEGER NOT NULL CHECK (facts >= 0),
    turns     INTEGER NOT NULL CHECK (turns >= 0),
    calls     INTEGER NOT NULL CHECK (calls >= 0)
) STRICT;

CREATE VIRTUAL TABLE facts_fts USING fts5 (caller_id, text, tokenize = 'porter unicode61');
CREATE VIRTUAL TABLE turns_fts USING fts5 (caller_id, text, tokenize = 'porter unicode61');

CREATE TRIGGER facts_found AFTER INSERT ON facts BEGIN
    INSERT INTO facts_fts (rowid, caller_id, text) VALUES (new.id, new.caller_id, new.text);
END;

CREATE TRIGGER facts_lost AFTER DELETE ON facts BEGIN
    DELETE FROM facts_fts WHERE rowid = old.id;
END;

CREATE TRIGGER turns_found AFTER INSERT ON turns WHEN new.speaker = 'caller' AND new.text <> '' BEGIN
    INSERT INTO turns_fts (rowid, caller_id, text)
    SELECT new.id, caller_id, new.text FROM calls WHERE id = new.call AND caller_id IS NOT NULL;
END;

CREATE TRIGGER turns_told_again AFTER UPDATE OF text, speaker ON turns WHEN new.text IS NOT old.text BEGIN
    DELETE FROM turns_fts WHERE rowid = old.id;
    INSERT INTO turns_fts (rowid, caller_id, text)
    SELECT new.id, caller_id, new.text FROM calls
    WHERE id = new.call AND caller_id IS NOT NULL AND new.speaker = 'caller' AND new.text <> '';
END;

CREATE TRIGGER turns_lost AFTER DELETE ON turns BEGIN
    DELETE FROM turns_fts WHERE rowid = old.id;
END;

INSERT INTO turns_fts (rowid, caller_id, text)
SELECT turns.id, calls.caller_id, turns.text
FROM turns JOIN calls ON calls.id = turns.call
WHERE turns.speaker = 'caller' AND turns.text <> '' AND calls.caller_id IS NOT NULL;

INSERT INTO facts (caller_id, kind, subject, predicate, value, slot, text, confidence, source_turn_id, last_said_utc_ms,
                   valid_from_utc_ms)
SELECT caller_id, 'note', 'caller', 'note', text, 0, text, 0.5, source_turn_id, created_utc_ms, created_utc_ms FROM memory;

DROP TABLE memory;

-- What is known about a caller across calls, and the turn that it rests on.
CREATE VIEW memory AS
SELECT id, caller_id, text, source_turn_id, valid_from_utc_ms AS created_utc_ms FROM facts WHERE valid_to_utc_ms IS NULL;

-- What holds now, caller by caller, with its source.
CREATE VIEW known_facts AS
SELECT callers.name AS caller,
       facts.id AS fact,
       facts.kind,
       facts.subject,
       facts.predicate,
       facts.value,
       facts.text,
       facts.day,
       facts.confidence,
       facts.said_times,
       strftime('%Y-%m-%dT%H:%M:%fZ', facts.last_said_utc_ms / 1000.0, 'unixepoch') AS last_said_utc,
       turns.call,
       turns.turn
FROM facts
JOIN callers ON callers.id = facts.caller_id
LEFT JOIN turns ON turns.id = facts.source_turn_id
WHERE facts.valid_to_utc_ms IS NULL;

-- Slots that were said to have one value and then another, with both sources.
CREATE VIEW fact_conflicts AS
SELECT callers.name AS caller,
       before.caller_id,
       before.subject,
       before.predicate,
       before.value AS before,
       now.value AS now,
       before.last_said_utc_ms AS before_utc_ms,
       now.valid_from_utc_ms AS now_utc_ms,
       before_turn.call AS before_call,
       before_turn.turn AS before_turn,
       now_turn.call AS now_call,
       now_turn.turn AS now_turn
FROM facts AS before
JOIN facts AS now ON now.id = before.superseded_by
JOIN callers ON callers.id = before.caller_id
LEFT JOIN turns AS before_turn ON before_turn.id = before.source_turn_id
LEFT JOIN turns AS now_turn ON now_turn.id = now.source_turn_id;

-- How often and on how many days each caller has said something.
CREATE VIEW acquaintance AS
SELECT callers.id AS caller_id,
       callers.name AS caller,
       count(DISTINCT calls.id) AS calls,
       count(DISTINCT date(calls.started_utc_ms / 1000.0, 'unixepoch')) AS days
FROM callers
LEFT JOIN calls ON calls.caller_id = callers.id
      AND EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND turns.speaker = 'caller' AND turns.text <> '')
GROUP BY callers.id;
