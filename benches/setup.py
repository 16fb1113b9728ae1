"""Table of benches/setup.sh: how long callers waited, by what for."""

import json
import sys

from figures import share, spread

PARTS = ("answered_ms", "connected_ms", "first_packet_ms")
calls = []
for path in sys.argv[1:]:
    told = [json.loads(line) for line in open(path)]
    calls += [line["setup"] for line in told if "setup" in line]
silent = sum(call["first_packet_ms"] is None for call in calls)
print(f"{len(calls)} of {len(sys.argv) - 1} calls were connected, {silent} of them without a packet; ms after the offer was sent:")
for part in PARTS:
    known = [call[part] for call in calls if call[part] is not None]
    told = []
    for name, p in (("p50", 0.5), ("p95", 0.95)):
        low, high = spread(known, p)
        told.append(f"{name} {share(known, p):6.1f} [95 %: {low:.1f} to {high:.1f}]")
    print(f"  {part.removesuffix('_ms').replace('_', ' '):13} {', '.join(told)}, best {min(known):.1f}, worst {max(known):.1f}")
