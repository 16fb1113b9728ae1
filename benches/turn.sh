#!/usr/bin/env bash
# Response latency at the caller's ear, with the real models, and where its time goes.
#
# A server of its own is started on free ports. The caller is `duologue call`: questions spoken by the same voice as the
# agent (synthetic speech, which flatters turn-taking models), one monotonic clock, the agent placed at packet arrival (a
# browser's own jitter buffer adds some 30 to 40 ms). The load average is printed because the machine may be shared.
#
#   benches/turn.sh [ROUNDS]      each round asks 10 questions; 3 rounds unless said otherwise
#   FLOOR="drafts = 0" benches/turn.sh        the same with other settings of [floor]
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
rounds="${1:-3}"

questions=(
    "What time does the kitchen close?"
    "How much is a double room?"
    "Are dogs welcome at your hotel?"
    "When is breakfast in the morning?"
    "Is there somewhere to park my car?"
    "How far is it to the station?"
    "What time do I have to check out?"
    "When does the last train to the city leave?"
    "Is the front desk open at three in the morning?"
    "Do I have to pay extra for breakfast?"
)
settings <<TOML
[floor]
${FLOOR:-}
TOML
wavs=()
for i in "${!questions[@]}"; do
    "$bin" say "${questions[$i]}" --out "$work/q$i.wav" > "$work/said"
    wavs+=("$work/q$i.wav")
done
serve

load before
for round in $(seq "$rounds"); do
    "$bin" call "${wavs[@]}" --url "$url" --wait-for-agent --json --patience-s 30 > "$work/round$round.jsonl"
done
load after
echo "CPU of the server (user, system, in ticks of 10 ms): $(awk '{print $14, $15}' "/proc/$server/stat"), of its language model: $(for child in $(pgrep -P "$server"); do awk '{print $14, $15}' "/proc/$child/stat"; done)"
kill "$server"; wait "$server" || true
python3 benches/turn.py "$work/calls.db" "$work"/round*.jsonl
