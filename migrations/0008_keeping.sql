-- Promises come up again and close, and facts are found by meaning.
--
-- `raised_utc_ms` is when the agent last brought an open promise up. A promise that is kept or dropped has `closed_utc_ms`,
-- `closed_by` (`done`, `dropped`: the caller said so; `told`, `reminded`: the agent did it; `called`: it was to call) and the
-- turn that closed it.
-- `fact_vectors` has a fact's meaning: 384 signed bytes, the normalised embedding of `facts.text` times 127. Facts of before
-- have none until they are said again, and are found by their words.

ALTER TABLE commitments ADD COLUMN raised_utc_ms INTEGER;
ALTER TABLE commitments ADD COLUMN closed_utc_ms INTEGER CHECK (closed_utc_ms IS NULL OR state <> 'open');
ALTER TABLE commitments ADD COLUMN closed_by TEXT CHECK (closed_by IS NULL OR state <> 'open');
ALTER TABLE commitments ADD COLUMN closed_turn_id INTEGER REFERENCES turns (id) ON DELETE SET NULL;

CREATE INDEX commitments_by_closing ON commitments (closed_turn_id) WHERE closed_turn_id IS NOT NULL;

CREATE TABLE fact_vectors (
    fact_id INTEGER PRIMARY KEY REFERENCES facts (id) ON DELETE CASCADE,
    model   TEXT NOT NULL CHECK (model <> ''),
    vector  BLOB NOT NULL CHECK (length(vector) = 384)
) STRICT;

-- Every promise with how it stands and the turns that made and closed it.
CREATE VIEW promises AS
SELECT callers.name AS caller, c.id AS promise, c.who, c.what, c.due, c.state, c.closed_by,
       datetime(c.made_utc_ms / 1000, 'unixepoch') AS made_utc, datetime(c.raised_utc_ms / 1000, 'unixepoch') AS raised_utc,
       datetime(c.closed_utc_ms / 1000, 'unixepoch') AS closed_utc,
       made.call AS made_call, made.turn AS made_turn, done.call AS closed_call, done.turn AS closed_turn, done.text AS closed_text
FROM commitments c
JOIN callers ON callers.id = c.caller_id
LEFT JOIN turns made ON made.id = c.source_turn_id
LEFT JOIN turns done ON done.id = c.closed_turn_id;
