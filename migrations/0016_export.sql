-- Everything that was said is found by its words, what a call amounts to is summed up at its end, and what was taken out of a
-- call is told.
--
-- `said_fts` holds the words of all turns, both sides'; it keeps no text of its own (FTS5's external content), and its `rowid` is the
-- turn's `id`. `turns_fts` stays what memory is looked up in: callers' turns, with the caller beside them.
-- `call_totals` is a sum over the turns of a call that is over; triggers keep it right, so that lists of ten thousand calls need not
-- look at a hundred thousand turns; `call_overview` and `talk_time` read it and keep their columns.
-- A row of `redactions` says what was taken out and that the rest stayed: `rest_sha256` is over the pages of the recording that were
-- left as they were, in their order. There is no hash of the words that are gone: a number of four digits is found by trying.

CREATE VIRTUAL TABLE said_fts USING fts5 (
    text, content = 'turns', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);

INSERT INTO said_fts (said_fts) VALUES ('rebuild');

CREATE TRIGGER said_found AFTER INSERT ON turns BEGIN
    INSERT INTO said_fts (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER said_otherwise AFTER UPDATE OF text ON turns WHEN new.text IS NOT old.text BEGIN
    INSERT INTO said_fts (said_fts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO said_fts (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER said_lost AFTER DELETE ON turns BEGIN
    INSERT INTO said_fts (said_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;

-- One row a call that is over and has turns. The response is from the end of the caller's speech to the agent's first packet.
CREATE TABLE call_totals (
    call                TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    caller_turns        INTEGER NOT NULL CHECK (caller_turns >= 0),
    agent_turns         INTEGER NOT NULL CHECK (agent_turns >= 0),
    interruptions       INTEGER NOT NULL CHECK (interruptions >= 0),
    failures            INTEGER NOT NULL CHECK (failures >= 0),
    caller_ms           INTEGER NOT NULL CHECK (caller_ms >= 0),
    agent_ms            INTEGER NOT NULL CHECK (agent_ms >= 0),
    response_median_ms  INTEGER,
    response_slowest_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What `call_totals` should say. The median is that of an ordered list, the lower of the two in the middle.
CREATE VIEW turns_summed AS
SELECT turns.call,
       sum(speaker = 'caller') AS caller_turns,
       sum(speaker = 'agent') AS agent_turns,
       sum(outcome IS 'interrupted') AS interruptions,
       sum(outcome IS 'failed') AS failures,
       sum(CASE WHEN speaker = 'caller' AND typed = 0 THEN ended_ms - started_ms ELSE 0 END) AS caller_ms,
       sum(CASE WHEN speaker = 'agent' AND heard <> '' THEN ended_ms - started_ms ELSE 0 END) AS agent_ms,
       (SELECT max(CASE WHEN place = (answers + 1) / 2 THEN response_ms END)
        FROM (SELECT response_ms, row_number() OVER (ORDER BY response_ms) AS place, count(*) OVER () AS answers
              FROM (SELECT answer.first_packet_ms - coalesce(answer.speech_end_ms, answer.turn_end_ms) AS response_ms
                    FROM turns AS answer WHERE answer.call = turns.call AND answer.speaker = 'agent')
              WHERE response_ms IS NOT NULL)
       ) AS response_median_ms,
       max(CASE WHEN speaker = 'agent' THEN first_packet_ms - coalesce(speech_end_ms, turn_end_ms) END) AS response_slowest_ms
FROM turns
GROUP BY turns.call;

INSERT INTO call_totals SELECT turns_summed.* FROM turns_summed JOIN calls ON calls.id = call WHERE end_reason IS NOT NULL;

-- While a call goes on its turns are few and counted when somebody asks; they are summed up at its end, and again where one is
-- changed after that.
CREATE TRIGGER turns_counted AFTER UPDATE OF end_reason ON calls WHEN new.end_reason IS NOT NULL BEGIN
    DELETE FROM call_totals WHERE call = new.id;
    INSERT INTO call_totals SELECT * FROM turns_summed WHERE call = new.id;
END;

CREATE TRIGGER turns_counted_late AFTER INSERT ON turns
WHEN (SELECT end_reason FROM calls WHERE id = new.call) IS NOT NULL BEGIN
    DELETE FROM call_totals WHERE call = new.call;
    INSERT INTO call_totals SELECT * FROM turns_summed WHERE call = new.call;
END;

CREATE TRIGGER turns_counted_again
AFTER UPDATE OF speaker, started_ms, ended_ms, heard, typed, outcome, speech_end_ms, turn_end_ms, first_packet_ms ON turns
WHEN (SELECT end_reason FROM calls WHERE id = new.call) IS NOT NULL BEGIN
    DELETE FROM call_totals WHERE call = new.call;
    INSERT INTO call_totals SELECT * FROM turns_summed WHERE call = new.call;
END;

CREATE TRIGGER turns_counted_off AFTER DELETE ON turns
WHEN (SELECT end_reason FROM calls WHERE id = old.call) IS NOT NULL BEGIN
    DELETE FROM call_totals WHERE call = old.call;
    INSERT INTO call_totals SELECT * FROM turns_summed WHERE call = old.call;
END;

DROP VIEW call_overview;

-- One line a call. The response is from the end of the caller's speech to the first packet of the agent's.
CREATE VIEW call_overview AS
SELECT calls.id AS call,
       strftime('%Y-%m-%dT%H:%M:%fZ', calls.started_utc_ms / 1000.0, 'unixepoch') AS started_utc,
       callers.name AS caller,
       calls.persona,
       calls.transport,
       round(calls.duration_ms / 1000.0, 3) AS duration_s,
       calls.end_reason,
       coalesce(totals.caller_turns, (SELECT caller_turns FROM turns_summed WHERE call = calls.id), 0) AS caller_turns,
       coalesce(totals.agent_turns, (SELECT agent_turns FROM turns_summed WHERE call = calls.id), 0) AS agent_turns,
       coalesce(totals.interruptions, (SELECT interruptions FROM turns_summed WHERE call = calls.id), 0) AS interruptions,
       coalesce(totals.failures, (SELECT failures FROM turns_summed WHERE call = calls.id), 0) AS failures,
       CASE WHEN totals.call IS NULL THEN (SELECT response_median_ms FROM turns_summed WHERE call = calls.id)
            ELSE totals.response_median_ms END AS response_median_ms,
       CASE WHEN totals.call IS NULL THEN (SELECT response_slowest_ms FROM turns_summed WHERE call = calls.id)
            ELSE totals.response_slowest_ms END AS response_slowest_ms,
       CASE WHEN calls.packets_received + calls.packets_lost > 0
            THEN round(100.0 * calls.packets_lost / (calls.packets_received + calls.packets_lost), 2)
       END AS loss_percent
FROM calls
LEFT JOIN callers ON callers.id = calls.caller_id
LEFT JOIN call_totals AS totals ON totals.call = calls.id;

DROP VIEW talk_time;

-- Who talked how much: shares of the call's length. What was typed took no time; an agent turn counts as far as it was heard.
CREATE VIEW talk_time AS
SELECT calls.id AS call,
       calls.duration_ms,
       coalesce(totals.caller_ms, 0) AS caller_ms,
       coalesce(totals.agent_ms, 0) AS agent_ms,
       round(100.0 * coalesce(totals.caller_ms, 0) / nullif(calls.duration_ms, 0), 1) AS caller_percent,
       round(100.0 * coalesce(totals.agent_ms, 0) / nullif(calls.duration_ms, 0), 1) AS agent_percent
FROM calls
LEFT JOIN call_totals AS totals ON totals.call = calls.id
WHERE calls.duration_ms IS NOT NULL;

-- What the questions of a morning after (`review/`) look at, so that none of them reads ten thousand calls from end to end.
CREATE INDEX events_by_type ON events (type, call, at_ms);
CREATE INDEX turns_by_response ON turns (first_packet_ms - coalesce(speech_end_ms, turn_end_ms))
WHERE first_packet_ms IS NOT NULL AND speaker = 'agent';
CREATE INDEX turns_interrupted ON turns (call, turn) WHERE speaker = 'agent' AND outcome = 'interrupted';
CREATE INDEX turns_cutting_in ON turns (call, turn) WHERE speaker = 'agent' AND action = 'interrupt';
CREATE INDEX turns_by_time ON turns (call, speaker, started_ms, ended_ms);
CREATE INDEX judgements_by_action ON judgements (action, call, turn) WHERE moment = 'end_of_turn';
CREATE INDEX judgements_by_sureness ON judgements (round(json_extract(probabilities, '$.' || action), 3), call)
WHERE moment = 'end_of_turn';
CREATE INDEX judgements_overruled ON judgements (overruled_by, proposed, action, call) WHERE overruled_by IS NOT NULL;
CREATE INDEX judgements_resting ON judgements (rests_on, action, call) WHERE rests_on IS NOT NULL;
CREATE INDEX downlink_stats_summed ON downlink_stats (call, packets_expected, packets_lost, rtt_ms, packets_sent, copies_sent);

DROP VIEW heard_vs_generated;

-- Every agent turn: what the model wrote, what the caller heard of it, what was never heard, and how far its words came.
CREATE VIEW heard_vs_generated AS
SELECT turns.call,
       turns.turn,
       outcome,
       text AS generated,
       coalesce(heard, '') AS heard,
       substr(text, length(coalesce(heard, '')) + 1) AS unheard,
       CASE WHEN text = '' THEN 1.0 ELSE round(1.0 * length(coalesce(heard, '')) / length(text), 3) END AS heard_share,
       (SELECT nullif(count(*), 0) FROM words WHERE words.call = turns.call AND words.turn = turns.turn) AS words,
       (SELECT sum(sent_ms IS NOT NULL) FROM words WHERE words.call = turns.call AND words.turn = turns.turn) AS words_sent,
       (SELECT sum(heard_ms IS NOT NULL) FROM words WHERE words.call = turns.call AND words.turn = turns.turn) AS words_heard,
       (SELECT max(heard_ms) FROM words WHERE words.call = turns.call AND words.turn = turns.turn) AS last_heard_ms
FROM turns
WHERE speaker = 'agent';

CREATE TABLE redactions (
    id            INTEGER PRIMARY KEY,
    call          TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    from_ms       INTEGER NOT NULL CHECK (from_ms >= 0),
    to_ms         INTEGER NOT NULL CHECK (to_ms > from_ms),
    why           TEXT NOT NULL CHECK (why <> ''),
    asked_by      TEXT NOT NULL CHECK (asked_by IN ('operator', 'http')),
    at_utc_ms     INTEGER NOT NULL,
    turns         INTEGER NOT NULL CHECK (turns >= 0),
    words         INTEGER NOT NULL CHECK (words >= 0),
    facts         INTEGER NOT NULL CHECK (facts >= 0),
    first_page    INTEGER CHECK (first_page >= 0),
    last_page     INTEGER CHECK (last_page >= first_page),
    sha256_before TEXT CHECK (length(sha256_before) = 64),
    sha256_after  TEXT CHECK (length(sha256_after) = 64),
    rest_sha256   TEXT CHECK (length(rest_sha256) = 64),
    CHECK ((first_page IS NULL) = (sha256_after IS NULL) AND (first_page IS NULL) = (rest_sha256 IS NULL)
           AND (first_page IS NULL) = (last_page IS NULL) AND (first_page IS NULL) = (sha256_before IS NULL))
) STRICT;

CREATE INDEX redactions_by_call ON redactions (call, from_ms);
