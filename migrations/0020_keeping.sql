-- Recordings and journals that are sealed at rest.
--
-- `key_id` is the id of the key that the file is sealed with, and NULL where it lies open. It is derived from the key and says nothing about
-- it; `duologue check` shows the ids of the keys that are here. `bytes` and `sha256` stay those of the sound, before it was sealed.

ALTER TABLE recordings ADD COLUMN key_id TEXT CHECK (length(key_id) = 16);
ALTER TABLE journals ADD COLUMN key_id TEXT CHECK (length(key_id) = 16);

-- Calls that were held elsewhere and came in as a file (`duologue import`): the vCon's uuid, what made it, and the certificate that it was
-- signed with (SHA-256, in hex; NULL where nobody signed).
CREATE TABLE imports (
    call      TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    at_utc_ms INTEGER NOT NULL,
    vcon      TEXT NOT NULL CHECK (vcon <> ''),
    made_by   TEXT NOT NULL,
    signed_by TEXT CHECK (length(signed_by) = 64)
) STRICT, WITHOUT ROWID;

INSERT INTO end_reasons (reason, meaning) VALUES ('imported', 'the call was held elsewhere, and its file does not say how it ended');
