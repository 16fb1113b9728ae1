-- What pieces of the personas' files mean, so that a question in other words finds them. Made in the background while the server
-- runs (the embedding model is the tuned judge's encoder); a piece without a row is found by its words alone.

CREATE TABLE knowledge_vectors (
    chunk_id INTEGER PRIMARY KEY REFERENCES knowledge_chunks (id) ON DELETE CASCADE,
    model    TEXT NOT NULL,
    -- 384 signed bytes: an embedding of length 1, times 127.
    vector   BLOB NOT NULL CHECK (length(vector) = 384)
) STRICT;
