"""Tables of benches/lateness.sh: the frames of each part's echo calls, by how late they left."""

import sqlite3
import sys

database, parts = sys.argv[1:]
rows = sqlite3.connect(database)
print("| machine | load average | frames | p50 within | p99 within | worst | more than 20 ms late |")
print("|---|---|---|---|---|---|---|")
for line in open(parts):
    name, since, until, load = line.split()
    buckets = rows.execute(
        "SELECT most_ms, sum(frames) FROM lateness JOIN calls ON id = call "
        "WHERE persona = 'echo' AND started_utc_ms BETWEEN ? AND ? GROUP BY most_ms ORDER BY most_ms",
        (int(since), int(until)),
    ).fetchall()
    total = sum(frames for _, frames in buckets)
    if not total:
        sys.exit(f"{name}: no frame was counted")

    def within(share):
        seen = 0
        for most_ms, frames in buckets:
            seen += frames
            if seen >= share * total:
                return most_ms

    late = sum(frames for most_ms, frames in buckets if most_ms > 20)
    print(
        f"| {name} | {load} | {total} | {within(0.5)} ms | {within(0.99)} ms | {buckets[-1][0]} ms | {late} ({100 * late / total:.2f} %) |"
    )
