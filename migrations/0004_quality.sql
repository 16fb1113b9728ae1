-- How the caller's sound arrived, in more than packet counts: how long packets waited, what became of the sound, and how
-- far the two clocks ran apart. NULL in calls of before, and after a crash. `drift_ppm` is also NULL in calls that were too
-- short to tell.

ALTER TABLE calls ADD COLUMN jitter_delay_p95_ms INTEGER CHECK (jitter_delay_p95_ms >= 0);
ALTER TABLE calls ADD COLUMN jitter_delay_max_ms INTEGER CHECK (jitter_delay_max_ms >= 0);
ALTER TABLE calls ADD COLUMN heard_ms INTEGER CHECK (heard_ms >= 0);
ALTER TABLE calls ADD COLUMN comfort_ms INTEGER CHECK (comfort_ms >= 0);
ALTER TABLE calls ADD COLUMN shortened_ms INTEGER CHECK (shortened_ms >= 0);
ALTER TABLE calls ADD COLUMN lengthened_ms INTEGER CHECK (lengthened_ms >= 0);
ALTER TABLE calls ADD COLUMN drift_ppm INTEGER;

-- One line a call whose caller was heard. Shares of the packets: a late one had its turn concealed, a duplicate does no
-- harm. Shares of the sound: concealed was made up, recovered came from the copy in a later packet, comfort noise stands
-- where the caller's device sent nothing, stretched was left out or played twice to follow the network.
CREATE VIEW quality AS
SELECT id AS call,
       round(heard_ms / 1000.0, 1) AS heard_s,
       round(100.0 * packets_lost / max(packets_received + packets_lost, 1), 2) AS loss_percent,
       round(100.0 * packets_late / max(packets_received, 1), 2) AS late_percent,
       round(100.0 * packets_duplicate / max(packets_received, 1), 2) AS duplicate_percent,
       round(100.0 * 20 * frames_concealed / heard_ms, 2) AS concealed_percent,
       round(100.0 * 20 * frames_recovered / heard_ms, 2) AS recovered_percent,
       round(100.0 * comfort_ms / heard_ms, 2) AS comfort_percent,
       round(100.0 * (shortened_ms + lengthened_ms) / heard_ms, 2) AS stretched_percent,
       jitter_delay_ms,
       jitter_delay_p95_ms,
       jitter_delay_max_ms,
       drift_ppm
FROM calls
WHERE heard_ms > 0;
