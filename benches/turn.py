"""Tables of benches/turn.sh: latency at the ear from the caller's recording, its parts from the database."""

import json
import sqlite3
import sys

from figures import share, spread

database, *rounds = sys.argv[1:]
ear, unanswered, cut_in = [], 0, 0
for path in rounds:
    for line in open(path):
        response = json.loads(line).get("response")
        if response is None:
            continue
        if response["response_ms"] is None:
            unanswered += 1
            continue
        ear.append(response["response_ms"])
        cut_in += response["response_ms"] < 0
if not ear:
    sys.exit("no turn was answered")
print(f"\nresponse at the ear, end of the last word to the first audible sample: {len(ear)} turns, {unanswered} unanswered, {cut_in} cut in")
for name, p in (("p50", 0.5), ("p95", 0.95)):
    low, high = spread(ear, p)
    print(f"  {name}  {share(ear, p):6.0f} ms   [95 %: {low:.0f} to {high:.0f}]")
print(f"  worst {max(ear):6.0f} ms, best {min(ear):.0f} ms")

parts = ["turn_end_ms", "asr_ms", "judge_ms", "first_token_ms", "first_clause_ms", "first_audio_ms", "first_packet_ms"]
rows = sqlite3.connect(database).execute(
    f"SELECT speech_end_ms, {', '.join(parts)} FROM turns WHERE speaker = 'agent' AND speech_end_ms IS NOT NULL AND first_packet_ms IS NOT NULL"
).fetchall()
print(f"\nparts, median ms after the end of speech as the server saw it ({len(rows)} turns):")
for i, part in enumerate(parts, 1):
    known = [row[i] - row[0] for row in rows if row[i] is not None]
    if known:
        print(f"  {part.removesuffix('_ms').replace('_', ' '):14} {share(known, 0.5):6.0f}   (p95 {share(known, 0.95):.0f})")

drafts = sqlite3.connect(database).execute(
    """SELECT count(*), sum(json ->> 'adopted'), sum(iif(json ->> 'adopted', 0, json ->> 'tokens')),
              sum(iif(json ->> 'adopted', 0, json ->> 'spent_ms')) FROM events WHERE type = 'draft'"""
).fetchone()
if drafts[0]:
    print(f"\ndrafts: {drafts[0]}, adopted {drafts[1]}; into the others went {drafts[2]} tokens and {drafts[3]} ms")
