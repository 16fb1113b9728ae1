-- How late the agent's frames left. Every 20 ms a frame is due; `lateness` counts a call's frames by how long after that
-- moment their packets left for the network: more than the `most_ms` before and at most this one. The highest `most_ms` is
-- the latest frame itself, rounded up. Written when the call ends; calls of before, and calls that crashed, have no rows.

CREATE TABLE lateness (
    call    TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    most_ms INTEGER NOT NULL CHECK (most_ms > 0),
    frames  INTEGER NOT NULL CHECK (frames > 0),
    PRIMARY KEY (call, most_ms)
) STRICT, WITHOUT ROWID;

-- One line a call: how many frames left, within how many milliseconds half of them and 99 of a hundred did (the upper end
-- of the bucket), how late the latest was, and how many left after the next one was due.
CREATE VIEW punctuality AS
WITH summed AS (
    SELECT call, most_ms, frames,
           sum(frames) OVER (PARTITION BY call ORDER BY most_ms) AS up_to,
           sum(frames) OVER (PARTITION BY call) AS total
    FROM lateness
)
SELECT call,
       total AS frames,
       min(CASE WHEN up_to >= 0.5 * total THEN most_ms END) AS half_within_ms,
       min(CASE WHEN up_to >= 0.99 * total THEN most_ms END) AS p99_within_ms,
       max(most_ms) AS worst_ms,
       sum(CASE WHEN most_ms > 20 THEN frames ELSE 0 END) AS late_frames
FROM summed
GROUP BY call;
