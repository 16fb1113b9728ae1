-- Every word of the agent, and how far it came: written, turned into sound, sent, heard.
--
-- One row in `words` is one word of an agent turn, in order. The moments are milliseconds since the call began; each is
-- NULL where the word did not come that far, so the four of them can only end, never have a hole. `heard_ms` is when the
-- word's last sample came out of the caller's loudspeaker; `heard_by` says how that is known: the client reported what it
-- was playing, or it was estimated from the round trip and a usual buffer.
--
-- A turn whose words were on their way when the call ended is told again: `turns.heard` then holds what was heard of it.
-- `heard_vs_generated` keeps its columns and gains the counts of words; they are NULL for turns from before this change.

CREATE TABLE word_states (
    state   TEXT PRIMARY KEY,
    rank    INTEGER NOT NULL UNIQUE,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO word_states (state, rank, meaning) VALUES
    ('generated',   1, 'the model wrote it; it was never spoken'),
    ('synthesised', 2, 'its sound was made; it never left'),
    ('sent',        3, 'it left and did not reach the ear: the call ended, or the client lost it'),
    ('heard',       4, 'it came out of the caller''s loudspeaker');

CREATE TABLE words (
    call           TEXT NOT NULL,
    turn           INTEGER NOT NULL,
    n              INTEGER NOT NULL CHECK (n >= 1),
    text           TEXT NOT NULL CHECK (text <> ''),
    state          TEXT NOT NULL REFERENCES word_states (state),
    generated_ms   INTEGER NOT NULL CHECK (generated_ms >= 0),
    synthesised_ms INTEGER CHECK (synthesised_ms >= generated_ms),
    sent_ms        INTEGER CHECK (sent_ms >= synthesised_ms),
    heard_ms       INTEGER CHECK (heard_ms >= sent_ms),
    heard_by       TEXT CHECK (heard_by IN ('report', 'estimate')),
    PRIMARY KEY (call, turn, n),
    FOREIGN KEY (call, turn) REFERENCES turns (call, turn) ON DELETE CASCADE,
    CHECK ((synthesised_ms IS NOT NULL) = (state IN ('synthesised', 'sent', 'heard'))),
    CHECK ((sent_ms IS NOT NULL) = (state IN ('sent', 'heard'))),
    CHECK ((heard_ms IS NOT NULL) = (state = 'heard') AND (heard_by IS NULL) = (heard_ms IS NULL))
) STRICT, WITHOUT ROWID;

-- What became of a client's playout reports, and how far away its ear was at the end; only for calls that had any.
CREATE TABLE playout_reports (
    call   TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    taken  INTEGER NOT NULL CHECK (taken >= 0),
    stale  INTEGER NOT NULL CHECK (stale >= 0),
    absurd INTEGER NOT NULL CHECK (absurd >= 0),
    future INTEGER NOT NULL CHECK (future >= 0),
    way_ms INTEGER NOT NULL CHECK (way_ms >= 0)
) STRICT, WITHOUT ROWID;

DROP VIEW heard_vs_generated;

-- Every agent turn: what the model wrote, what the caller heard of it, what was never heard, and how far its words came.
CREATE VIEW heard_vs_generated AS
WITH counted (call, turn, words, words_sent, words_heard, last_heard_ms) AS (
    SELECT call, turn, count(*), sum(sent_ms IS NOT NULL), sum(heard_ms IS NOT NULL), max(heard_ms)
    FROM words
    GROUP BY call, turn
)
SELECT turns.call,
       turns.turn,
       outcome,
       text AS generated,
       coalesce(heard, '') AS heard,
       substr(text, length(coalesce(heard, '')) + 1) AS unheard,
       CASE WHEN text = '' THEN 1.0 ELSE round(1.0 * length(coalesce(heard, '')) / length(text), 3) END AS heard_share,
       counted.words,
       counted.words_sent,
       counted.words_heard,
       counted.last_heard_ms
FROM turns
LEFT JOIN counted ON counted.call = turns.call AND counted.turn = turns.turn
WHERE speaker = 'agent';

-- Where callers cut in: the last word that they had heard when they began to speak, how many words came out after that
-- (on their way already, or before the agent knew), and what they said.
CREATE VIEW cut_ins AS
SELECT barge_ins.call,
       barge_ins.turn,
       barge_ins.at_ms,
       (SELECT text FROM words
        WHERE words.call = barge_ins.call AND words.turn = barge_ins.turn AND heard_ms <= at_ms
        ORDER BY n DESC LIMIT 1) AS after_word,
       (SELECT count(*) FROM words
        WHERE words.call = barge_ins.call AND words.turn = barge_ins.turn AND heard_ms <= at_ms) AS words_before,
       (SELECT count(*) FROM words
        WHERE words.call = barge_ins.call AND words.turn = barge_ins.turn AND heard_ms > at_ms) AS words_over,
       (SELECT count(*) FROM words
        WHERE words.call = barge_ins.call AND words.turn = barge_ins.turn AND heard_ms IS NULL) AS words_lost,
       barge_ins.caller_said
FROM barge_ins;
