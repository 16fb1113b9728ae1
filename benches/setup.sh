#!/usr/bin/env bash
# How long it takes until a WebRTC caller hears something: from the sending of its offer to the answer, to ICE and DTLS being up, and to the
# first packet of the agent's sound. Calls one after another, each by a caller of its own (`duologue call`), on loopback; back ends are
# scripted, for nothing of a call's beginning waits for a model. A browser's own ICE and DTLS are others than the caller's: headless Chromium
# does the same after it.
#
#   benches/setup.sh [CALLS]      100 calls unless said otherwise
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
calls="${1:-100}"
settings <<TOML
$SCRIPTED
[recording]
calls = "off"
TOML
# A caller has to have something to say; it hangs up before.
python3 - "$work/tone.wav" <<'PY'
import math, struct, sys, wave
with wave.open(sys.argv[1], "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    out.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(n * 2 * math.pi * 200 / 16000))) for n in range(16000)))
PY
serve
dial() { "$bin" call "$work/tone.wav" --url "$url" --persona porter --hangup-after 0.3 --json; }
dial > "$work/warm" 2>&1
load before
for n in $(seq "$calls"); do
    dial > "$work/call$n.jsonl"
done
load after
python3 benches/setup.py "$work"/call*.jsonl
echo "Chromium:"
mkdir "$work/chromium"
node benches/setup.mjs "$url" "$calls" "$work/tone.wav" "$work/chromium"
load "after that"
python3 benches/setup.py "$work"/chromium/call*.jsonl
