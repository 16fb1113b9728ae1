-- A database of schema 1, as its first release wrote it. Never changed: it proves that such files still open.
PRAGMA application_id = 1685417836;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'first call','2026-01-05 10:00:00',1,X'612b7c5a556bf350d502d54ddb38aa62d65b085554b5c3c7898b349cd9356d18e23c2b939d3f68721e33ea96b44387d1',1);
CREATE TABLE end_reasons (
    reason  TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO end_reasons VALUES('agent-hangup','the agent hung up');
INSERT INTO end_reasons VALUES('bug','a fault of the server ended this call');
INSERT INTO end_reasons VALUES('caller-hangup','the caller hung up');
INSERT INTO end_reasons VALUES('crash','the server died during the call; written at its next start');
INSERT INTO end_reasons VALUES('network-gone','the caller''s network or browser went away without a word');
INSERT INTO end_reasons VALUES('never-connected','no media ever came');
INSERT INTO end_reasons VALUES('shutdown','the server was stopped');
INSERT INTO end_reasons VALUES('time-limit','the call reached the longest allowed length');
CREATE TABLE turn_outcomes (
    outcome TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO turn_outcomes VALUES('completed','all of it was played');
INSERT INTO turn_outcomes VALUES('failed','a model behind it failed');
INSERT INTO turn_outcomes VALUES('interrupted','the caller took the floor while it was being played');
INSERT INTO turn_outcomes VALUES('revoked','dropped before any of it was heard, because the caller went on');
CREATE TABLE callers (
    id                INTEGER PRIMARY KEY,
    name              TEXT NOT NULL UNIQUE CHECK (name <> ''),
    first_call_utc_ms INTEGER NOT NULL,
    last_call_utc_ms  INTEGER NOT NULL
) STRICT;
INSERT INTO callers VALUES(1,'Ada',1767607200000,1767607200000);
CREATE TABLE calls (
    id                 TEXT PRIMARY KEY CHECK (id <> ''),
    caller_id          INTEGER REFERENCES callers (id) ON DELETE SET NULL,
    persona            TEXT NOT NULL,
    transport          TEXT NOT NULL CHECK (transport <> ''),
    asr                TEXT NOT NULL,
    llm                TEXT NOT NULL,
    tts                TEXT NOT NULL,
    started_utc_ms     INTEGER NOT NULL,
    ended_utc_ms       INTEGER,
    duration_ms        INTEGER CHECK (duration_ms >= 0),
    end_reason         TEXT REFERENCES end_reasons (reason),
    end_detail         TEXT,
    packets_received   INTEGER CHECK (packets_received >= 0),
    packets_lost       INTEGER CHECK (packets_lost >= 0),
    packets_late       INTEGER CHECK (packets_late >= 0),
    packets_duplicate  INTEGER CHECK (packets_duplicate >= 0),
    packets_sent       INTEGER CHECK (packets_sent >= 0),
    frames_concealed   INTEGER CHECK (frames_concealed >= 0),
    frames_recovered   INTEGER CHECK (frames_recovered >= 0),
    jitter_delay_ms    INTEGER CHECK (jitter_delay_ms >= 0),
    -- A call is open or closed, never half of each.
    CHECK ((end_reason IS NULL) = (ended_utc_ms IS NULL) AND (end_reason IS NULL) = (duration_ms IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO calls VALUES('0197-snapshot',1,'default','webrtc','whisper base','embedded qwen2.5-0.5b','piper joe',1767607200000,1767607209000,9000,'caller-hangup','the caller pressed the button',440,5,1,0,450,4,1,45);
CREATE TABLE turns (
    id              INTEGER PRIMARY KEY,
    call            TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    turn            INTEGER NOT NULL CHECK (turn >= 1),
    speaker         TEXT NOT NULL CHECK (speaker IN ('caller', 'agent')),
    started_ms      INTEGER NOT NULL CHECK (started_ms >= 0),
    ended_ms        INTEGER NOT NULL CHECK (ended_ms >= started_ms),
    text            TEXT NOT NULL,
    heard           TEXT,
    typed           INTEGER NOT NULL DEFAULT 0 CHECK (typed IN (0, 1)),
    outcome         TEXT REFERENCES turn_outcomes (outcome),
    action          TEXT,
    reason          TEXT,
    speech_end_ms   INTEGER CHECK (speech_end_ms >= 0),
    turn_end_ms     INTEGER CHECK (turn_end_ms >= 0),
    asr_ms          INTEGER CHECK (asr_ms >= 0),
    judge_ms        INTEGER CHECK (judge_ms >= 0),
    first_token_ms  INTEGER CHECK (first_token_ms >= 0),
    first_clause_ms INTEGER CHECK (first_clause_ms >= 0),
    first_audio_ms  INTEGER CHECK (first_audio_ms >= 0),
    first_packet_ms INTEGER CHECK (first_packet_ms >= 0),
    UNIQUE (call, turn),
    CHECK (speaker = 'agent' OR (heard IS NULL AND outcome IS NULL)),
    CHECK (speaker = 'caller' OR typed = 0),
    -- What was heard is a prefix of what was generated. Compared as bytes: length() of text stops at a NUL.
    CHECK (heard IS NULL
           OR substr(CAST(text AS BLOB), 1, length(CAST(heard AS BLOB))) = CAST(heard AS BLOB))
) STRICT;
INSERT INTO turns VALUES(1,'0197-snapshot',1,'caller',200,1100,'Hello?',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO turns VALUES(2,'0197-snapshot',2,'agent',2000,3100,'Good morning. How can I help?','Good morning.',0,'interrupted','respond','end of turn',1100,1340,1510,1511,1730,1860,1980,2000);
INSERT INTO turns VALUES(3,'0197-snapshot',3,'caller',2900,3900,'I moved to Turin.',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE events (
    id    INTEGER PRIMARY KEY,
    call  TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    type  TEXT NOT NULL CHECK (type <> ''),
    json  TEXT NOT NULL CHECK (json_valid(json))
) STRICT;
INSERT INTO events VALUES(1,'0197-snapshot',1400,'transcript','{"text":"Hello?","turn":1,"typed":false}');
CREATE TABLE memory (
    id             INTEGER PRIMARY KEY,
    caller_id      INTEGER NOT NULL REFERENCES callers (id) ON DELETE CASCADE,
    text           TEXT NOT NULL CHECK (text <> ''),
    source_turn_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
    created_utc_ms INTEGER NOT NULL
) STRICT;
INSERT INTO memory VALUES(1,1,'lives in Turin',3,1767607204000);
CREATE TABLE incidents (
    id        INTEGER PRIMARY KEY,
    at_utc_ms INTEGER NOT NULL,
    type      TEXT NOT NULL CHECK (type IN ('entries-lost', 'entry-refused')),
    entries   INTEGER NOT NULL CHECK (entries >= 1),
    call      TEXT,
    detail    TEXT NOT NULL
) STRICT;
INSERT INTO incidents VALUES(1,1767607205000,'entries-lost',3,NULL,'the disk was behind or refused for so long that the queue was full');
CREATE INDEX calls_by_start ON calls (started_utc_ms);
CREATE INDEX calls_by_caller ON calls (caller_id) WHERE caller_id IS NOT NULL;
CREATE INDEX calls_open ON calls (id) WHERE end_reason IS NULL;
CREATE INDEX events_by_call ON events (call, at_ms);
CREATE INDEX memory_by_caller ON memory (caller_id, created_utc_ms);
CREATE INDEX memory_by_source ON memory (source_turn_id) WHERE source_turn_id IS NOT NULL;
CREATE VIEW messages AS
SELECT call,
       turn,
       CASE speaker WHEN 'caller' THEN 'user' ELSE 'assistant' END AS role,
       CASE speaker WHEN 'caller' THEN text ELSE heard END AS content,
       outcome IS 'interrupted' AS cut_off
FROM turns
WHERE CASE speaker WHEN 'caller' THEN text ELSE coalesce(heard, '') END <> '';
CREATE VIEW turn_latency AS
SELECT call,
       turn,
       outcome,
       speech_end_ms IS NULL AS typed,
       turn_end_ms     - coalesce(speech_end_ms, turn_end_ms) AS endpoint_ms,
       asr_ms          - coalesce(speech_end_ms, turn_end_ms) AS asr_ms,
       judge_ms        - coalesce(speech_end_ms, turn_end_ms) AS judge_ms,
       first_token_ms  - coalesce(speech_end_ms, turn_end_ms) AS first_token_ms,
       first_clause_ms - coalesce(speech_end_ms, turn_end_ms) AS first_clause_ms,
       first_audio_ms  - coalesce(speech_end_ms, turn_end_ms) AS first_audio_ms,
       first_packet_ms - coalesce(speech_end_ms, turn_end_ms) AS response_ms
FROM turns
WHERE speaker = 'agent' AND coalesce(speech_end_ms, turn_end_ms) IS NOT NULL;
CREATE VIEW latency_steps AS
WITH moments (call, turn, step, at_ms, rank) AS (
    SELECT call, turn, 'endpoint', endpoint_ms, 1 FROM turn_latency WHERE endpoint_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'asr', asr_ms, 2 FROM turn_latency WHERE asr_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'judge', judge_ms, 3 FROM turn_latency WHERE judge_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'first token', first_token_ms, 4 FROM turn_latency WHERE first_token_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'first clause', first_clause_ms, 5 FROM turn_latency WHERE first_clause_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'first audio', first_audio_ms, 6 FROM turn_latency WHERE first_audio_ms IS NOT NULL
    UNION ALL SELECT call, turn, 'first packet', response_ms, 7 FROM turn_latency WHERE response_ms IS NOT NULL
)
SELECT call,
       turn,
       step,
       at_ms AS since_speech_end_ms,
       at_ms - lag(at_ms, 1, 0) OVER (PARTITION BY call, turn ORDER BY at_ms, rank) AS took_ms
FROM moments;
CREATE VIEW barge_ins AS
SELECT agent.call,
       agent.turn,
       caller.turn AS caller_turn,
       coalesce(caller.started_ms, agent.ended_ms) AS at_ms,
       agent.ended_ms - caller.started_ms AS stopped_after_ms,
       agent.heard,
       substr(agent.text, length(agent.heard) + 1) AS unheard,
       caller.text AS caller_said
FROM turns AS agent
LEFT JOIN turns AS caller
    ON caller.id = (
        SELECT next.id
        FROM turns AS next
        WHERE next.call = agent.call AND next.speaker = 'caller' AND next.ended_ms >= agent.started_ms AND next.turn > agent.turn
        ORDER BY next.turn
        LIMIT 1
    )
WHERE agent.speaker = 'agent' AND agent.outcome = 'interrupted';
CREATE VIEW heard_vs_generated AS
SELECT call,
       turn,
       outcome,
       text AS generated,
       coalesce(heard, '') AS heard,
       substr(text, length(coalesce(heard, '')) + 1) AS unheard,
       CASE WHEN text = '' THEN 1.0 ELSE round(1.0 * length(coalesce(heard, '')) / length(text), 3) END AS heard_share
FROM turns
WHERE speaker = 'agent';
CREATE VIEW call_overview AS
WITH ranked (call, response_ms, place, answers) AS (
    SELECT call,
           response_ms,
           row_number() OVER (PARTITION BY call ORDER BY response_ms),
           count(*) OVER (PARTITION BY call)
    FROM turn_latency
    WHERE response_ms IS NOT NULL
),
responses (call, median_ms, slowest_ms) AS (
    SELECT call, max(CASE WHEN place = (answers + 1) / 2 THEN response_ms END), max(response_ms)
    FROM ranked
    GROUP BY call
),
said (call, caller_turns, agent_turns, interruptions, failures) AS (
    SELECT call,
           sum(speaker = 'caller'),
           sum(speaker = 'agent'),
           sum(outcome IS 'interrupted'),
           sum(outcome IS 'failed')
    FROM turns
    GROUP BY call
)
SELECT calls.id AS call,
       strftime('%Y-%m-%dT%H:%M:%fZ', calls.started_utc_ms / 1000.0, 'unixepoch') AS started_utc,
       callers.name AS caller,
       calls.persona,
       calls.transport,
       round(calls.duration_ms / 1000.0, 3) AS duration_s,
       calls.end_reason,
       coalesce(said.caller_turns, 0) AS caller_turns,
       coalesce(said.agent_turns, 0) AS agent_turns,
       coalesce(said.interruptions, 0) AS interruptions,
       coalesce(said.failures, 0) AS failures,
       responses.median_ms AS response_median_ms,
       responses.slowest_ms AS response_slowest_ms,
       CASE WHEN calls.packets_received + calls.packets_lost > 0
            THEN round(100.0 * calls.packets_lost / (calls.packets_received + calls.packets_lost), 2)
       END AS loss_percent
FROM calls
LEFT JOIN callers ON callers.id = calls.caller_id
LEFT JOIN said ON said.call = calls.id
LEFT JOIN responses ON responses.call = calls.id;
COMMIT;
