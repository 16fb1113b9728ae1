-- Recordings and journals that are sealed at rest.
--
-- `key_id` is the id of the key that the file is sealed with, and NULL where it lies open. It is derived from the key and says nothing about
-- it; `duologue check` shows the ids of the keys that are here. `bytes` and `sha256` stay those of the sound, before it was sealed.

ALTER TABLE recordings ADD COLUMN key_id TEXT CHECK (length(key_id) = 16);
ALTER TABLE journals ADD COLUMN key_id TEXT CHECK (length(key_id) = 16);
