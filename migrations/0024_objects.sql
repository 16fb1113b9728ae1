-- Recordings that lie on an S3-compatible store, and objects that are still to be taken away there.
--
-- `object` is written before anything is sent, so that no object is ever there that no row names; `stored_utc_ms` when all of it is
-- there, and only then does the file in the folder go. Whatever makes a row forget its object, or says that the recording is gone,
-- leaves the object's name in `unremoved` until the store has taken it away: by triggers, so that no way past them is left.

ALTER TABLE recordings ADD COLUMN object TEXT CHECK (object <> '');
ALTER TABLE recordings ADD COLUMN stored_utc_ms INTEGER CHECK (stored_utc_ms IS NULL OR object IS NOT NULL);

CREATE INDEX recordings_unstored ON recordings (call) WHERE removed_utc_ms IS NULL AND stored_utc_ms IS NULL;

CREATE TABLE unremoved (
    object       TEXT PRIMARY KEY CHECK (object <> ''),
    -- No reference: the object may be there longer than the call's rows.
    call         TEXT NOT NULL,
    since_utc_ms INTEGER NOT NULL,
    -- 0: it may have been on its way, and whoever was sending it takes it away.
    arrived      INTEGER NOT NULL CHECK (arrived IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER recordings_gone AFTER UPDATE OF removed_utc_ms ON recordings
WHEN new.removed_utc_ms IS NOT NULL AND old.removed_utc_ms IS NULL AND new.object IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO unremoved VALUES (new.object, new.call, unixepoch() * 1000, new.stored_utc_ms IS NOT NULL);
END;

CREATE TRIGGER recordings_replaced AFTER UPDATE OF object ON recordings
WHEN old.object IS NOT NULL AND new.object IS NOT old.object
BEGIN
    INSERT OR IGNORE INTO unremoved VALUES (old.object, old.call, unixepoch() * 1000, old.stored_utc_ms IS NOT NULL);
END;

CREATE TRIGGER recordings_deleted AFTER DELETE ON recordings
WHEN old.object IS NOT NULL AND old.removed_utc_ms IS NULL
BEGIN
    INSERT OR IGNORE INTO unremoved VALUES (old.object, old.call, unixepoch() * 1000, old.stored_utc_ms IS NOT NULL);
END;
