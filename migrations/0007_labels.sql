-- What a reviewer says that a judge should have done, and what a decision rested on: so that decisions can be exported, the
-- judge trained on them, and "which facts decided something?" is a join.
--
-- `judgements.situation` is everything that the judge was shown, as JSON in the words of the judgement data: persona, relation,
-- memory, history, speaking_s, silence_s; NULL in rows of before. `text` stays where it is.
-- `judgement_facts` joins a judgement to the fact that its `rests_on` quotes. A label never changes what was done; the last
-- one of a judgement stands.

ALTER TABLE judgements ADD COLUMN situation TEXT CHECK (situation IS NULL OR json_valid(situation));

CREATE TABLE judgement_facts (
    judgement_id INTEGER NOT NULL REFERENCES judgements (id) ON DELETE CASCADE,
    fact_id      INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
    PRIMARY KEY (judgement_id, fact_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX judgement_facts_by_fact ON judgement_facts (fact_id);

INSERT INTO judgement_facts (judgement_id, fact_id)
SELECT judgements.id, max(facts.id)
FROM judgements
JOIN calls ON calls.id = judgements.call
JOIN facts ON facts.caller_id = calls.caller_id AND facts.text = judgements.rests_on
GROUP BY judgements.id;

CREATE TABLE labels (
    id           INTEGER PRIMARY KEY,
    judgement_id INTEGER NOT NULL REFERENCES judgements (id) ON DELETE CASCADE,
    action       TEXT NOT NULL REFERENCES actions (action),
    also         TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(also)),
    reason       TEXT NOT NULL DEFAULT '',
    by           TEXT NOT NULL CHECK (by <> ''),
    at_utc_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX labels_by_judgement ON labels (judgement_id, id);

-- Every judgement with the label that stands, if it has one; `right` is NULL where nobody has said.
CREATE VIEW reviewed AS
SELECT j.id AS judgement, j.call, j.turn, j.at_ms, j.moment, j.judge, j.text AS caller_said, j.proposed, j.action,
       l.action AS label, l.also, l.reason AS label_reason, l.by AS labelled_by,
       CASE WHEN l.id IS NULL THEN NULL
            ELSE j.proposed = l.action OR j.proposed IN (SELECT value FROM json_each(l.also)) END AS right
FROM judgements j
LEFT JOIN labels l ON l.id = (SELECT max(id) FROM labels WHERE labels.judgement_id = j.id);

-- Every decision that rested on a fact, with the fact, its source and what became of it since.
CREATE VIEW deciding_facts AS
SELECT j.id AS judgement, j.call, j.turn, j.at_ms, j.moment, j.action, j.reason, j.text AS caller_said,
       f.id AS fact, f.text AS fact_text, f.valid_to_utc_ms IS NULL AS still_holds,
       t.call AS source_call, t.turn AS source_turn, t.text AS source_text
FROM judgement_facts jf
JOIN judgements j ON j.id = jf.judgement_id
JOIN facts f ON f.id = jf.fact_id
LEFT JOIN turns t ON t.id = f.source_turn_id;
