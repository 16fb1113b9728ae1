#!/usr/bin/env bash
# What a real browser hears of the agent over a bad network: PESQ-WB, concealment and delay in headless Chromium, with
# Opus's own redundancy alone and with the controller's copies, on the same seeded traces, one after the other in one run.
#
# The agent is a recording (about a minute of speech, synthetic unless a WAV is given), so that what was said is known to
# the sample. Only the way to the browser and its reports are impaired. The load average is printed because the machine may be
# shared: a browser that does not get its processor conceals sound of its own accord; the line without faults shows how much.
#
#   benches/downlink.sh [SEEDS] [WAV]      2 seeds unless said otherwise; each takes some 20 minutes
#   LINES="20" VARIANTS="copies" ...       only those
set -euo pipefail
cd "$(dirname "$0")/.."
seeds="${1:-2}"; speech="${2:-}"
bin="${CARGO_TARGET_DIR:-$HOME/.cache/duologue/target}/release/duologue"
venv="${DUOLOGUE_BENCH_VENV:-$HOME/.cache/duologue/bench-venv}"
work="${DUOLOGUE_BENCH_OUT:-$(mktemp -d)}"
mkdir -p "$work/personas"
pids=()
cleanup() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap cleanup EXIT

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import pesq, scipy' 2>/dev/null || "$venv/bin/pip" install --quiet pesq==0.0.4 numpy scipy

if [ -z "$speech" ]; then
    speech="$work/speech.wav"
    "$bin" say "$(cat benches/downlink.txt)" --out "$speech" > "$work/said"
fi
# A second of silence first, so that the browser listens by the time that it begins.
python3 - "$speech" "$work/personas/reading.wav" <<'PY'
import sys, wave
with wave.open(sys.argv[1]) as given, wave.open(sys.argv[2], "wb") as out:
    assert given.getsampwidth() == 2 and given.getnchannels() == 1, "16-bit mono is needed"
    rate = given.getframerate()
    sound = given.readframes(given.getnframes())[: 2 * rate * 64]
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(rate)
    out.writeframes(bytes(2 * rate) + sound + bytes(4 * rate))
PY
printf -- '---\nname: reading\nplays: reading.wav\n---\n' > "$work/personas/reading.md"
seconds="$(python3 -c "import sys, wave; w = wave.open(sys.argv[1]); print(int(w.getnframes() / w.getframerate()))" "$work/personas/reading.wav")"

serve() { # NAME MOST: prints the URL and the media port
    mkdir -p "$work/$1"
    cat > "$work/$1/duologue.toml" <<TOML
[http]
listen = "127.0.0.1:0"
[media]
udp_port = 0
redundancy_most = $2
[asr]
backend = "scripted"
[llm]
backend = "scripted"
[tts]
backend = "scripted"
[personas]
dir = "$work/personas"
default = "reading"
[store]
path = "$work/$1/calls.db"
TOML
    "$bin" serve --config "$work/$1/duologue.toml" > "$work/$1/out" 2> "$work/$1/err" & pids+=($!)
    for _ in $(seq 120); do grep -q 'ready' "$work/$1/out" && break; sleep 0.5; done
    grep -q 'ready' "$work/$1/out" || { cat "$work/$1/err"; exit 1; }
}
serve inband 0
serve copies 4
url() { grep -o 'http://[0-9.:]*' "$work/$1/out" | head -n 1; }
media() { grep -o 'UDP [0-9.:]*' "$work/$1/out" | head -n 1 | sed 's/.*://'; }

call() { # NUMBER LINE SPEC VARIANT SERVER HOLD SEED
    local at="$work/$1_$2_$4_$7" relay=()
    mkdir -p "$at"
    # shellcheck disable=SC2086  # a spec is several words
    "$bin" relay --to "127.0.0.1:$(media "$5")" --seed "$7" --ways back --spare-setup --for 300 $3 > "$at/relay" 2>&1 & relay=$!
    for _ in $(seq 50); do grep -qs relaying "$at/relay" && break; sleep 0.1; done
    local port; port="$(sed -n 's/^relaying [0-9.]*:\([0-9]*\) .*/\1/p' "$at/relay")"
    if node benches/downlink.mjs --url "$(url "$5")" --relay "$port" --persona reading --mic "$work/personas/reading.wav" \
        --out "$at" --seconds "$seconds" --hold "$6" > "$at/figures.json" 2> "$at/err"; then
        echo "  $2, $4, seed $7: $(head -c 240 "$at/figures.json") load $(cut -d' ' -f1 /proc/loadavg)"
    else
        echo "  $2, $4, seed $7: failed: $(head -c 300 "$at/err")"; rm -f "$at/figures.json"
    fi
    kill "$relay" 2>/dev/null || true; wait "$relay" 2>/dev/null || true
}
wanted() { [ -z "$1" ] || grep -qw -- "$2" <<< "$1"; }

echo "load average before: $(cut -d' ' -f1-3 /proc/loadavg), cores: $(nproc); work in $work"
for seed in $(seq "$seeds"); do
    number=0
    while IFS='|' read -r line spec; do
        number=$((number + 1))
        wanted "${LINES:-}" "$line" || continue
        # The order of the variants changes with the seed, so that none has the warmer machine.
        variants="inband|inband|yes copies|copies|yes copies-unheld|copies|no"
        [ $((seed % 2)) = 1 ] || variants="copies-unheld|copies|no copies|copies|yes inband|inband|yes"
        for variant in $variants; do
            IFS='|' read -r name server hold <<< "$variant"
            wanted "${VARIANTS:-}" "$name" || continue
            call "$number" "$line" "$spec" "$name" "$server" "$hold" "$seed"
        done
    done <<'CELLS'
clean|
loss-10|--loss 0.1
loss-20|--loss 0.2
bursts-10|--loss 0.1 --burst 3
bursts-20|--loss 0.2 --burst 3
loss-10-jitter|--loss 0.1 --jitter 0..60
CELLS
done
echo "load average after:  $(cut -d' ' -f1-3 /proc/loadavg)"
rm -f "$work/stretches.csv"
"$venv/bin/python" benches/downlink.py "$work/personas/reading.wav" "$work"
