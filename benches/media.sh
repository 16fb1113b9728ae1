#!/usr/bin/env bash
# What a call costs without the models: CPU-ms per call-second and memory per call, for N echo calls at once (decode, voice
# detector, encode, SRTP both ways). The callers are processes of their own; their CPU is not counted.
#
#   benches/media.sh [CALLS] [SECONDS]      20 calls of 20 seconds unless said otherwise
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
calls="${1:-20}"; seconds="${2:-20}"
settings <<TOML
[calls]
max = 1000
[llm]
backend = "scripted"
[tts]
backend = "scripted"
TOML
python3 - "$work/noise.wav" "$seconds" <<'PY'
import math, random, struct, sys, wave
path, seconds = sys.argv[1], int(sys.argv[2])
draw = random.Random(1)
with wave.open(path, "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    voice = lambda n: sum(math.sin(n * 2 * math.pi * 140 * k / 16000) / k for k in range(1, 9)) * (0.6 + 0.4 * math.sin(n / 2000))
    out.writeframes(b"".join(struct.pack("<h", int(3000 * voice(n) + draw.gauss(0, 60))) for n in range(16000 * seconds)))
PY
serve

"$bin" call "$work/noise.wav" --url "$url" --persona echo --hangup-after 3 > "$work/warm" 2>&1 || true
sleep 1
rss0="$(memory)"
load before
pids=()
for n in $(seq "$calls"); do
    "$bin" call "$work/noise.wav" --url "$url" --persona echo --hangup-after "$((seconds + 5))" > "$work/call$n" 2>&1 & pids+=($!)
done
sleep 4
ticks0="$(ticks)"; at0="$(date +%s%N)"
sleep "$((seconds - 8))"
ticks1="$(ticks)"; at1="$(date +%s%N)"; rss1="$(memory)"
wait "${pids[@]}" || true
load after
python3 - "$calls" "$ticks0" "$ticks1" "$at0" "$at1" "$rss0" "$rss1" <<'PY'
import sys
calls, t0, t1, a0, a1, r0, r1 = (float(v) for v in sys.argv[1:])
seconds = (a1 - a0) / 1e9
print(f"{calls:.0f} echo calls over {seconds:.1f} s: {(t1 - t0) * 10 / seconds / calls:.1f} CPU-ms per call-second, {(r1 - r0) / calls:.0f} kB of memory per call")
PY
grep -h "packets sent" "$work"/call* | sed 's/^/  caller: /' | sort | tail -n 3
