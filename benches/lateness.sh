#!/usr/bin/env bash
# How late the agent's frames leave: N echo calls while the machine is idle, and the same while real inference saturates it.
#
# One server. "idle": echo calls alone. "inference": four callers also talk to the porter without a pause, so that Whisper,
# smart-turn, the language model and Piper work all the time. "rivals": besides, a process for each core synthesises speech
# at no lower priority than the server's media. In the order idle, inference, rivals, inference, idle. The callers are
# processes of their own, take CPU too, and count for nothing here: a frame's lateness is the server's own.
#
#   benches/lateness.sh [CALLS] [SECONDS]      10 echo calls of 20 seconds in each part unless said otherwise
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
calls="${1:-10}"; seconds="${2:-20}"
settings <<TOML
[calls]
max = 200
[recording]
calls = "off"
TOML
"$bin" say "What time does the kitchen close, and is there somewhere to park my car for the night?" --out "$work/q.wav" > "$work/said"
serve

# Enough to say for the whole of a part.
said=()
for _ in $(seq "$seconds"); do said+=("$work/q.wav"); done

part() { # NAME: echo calls, told apart by their moment
    local pids=() from load
    from="$(date +%s%3N)"
    for n in $(seq "$calls"); do
        "$bin" call "${said[@]}" --url "$url" --persona echo --hangup-after "$seconds" > "$work/call$n" 2>&1 & pids+=($!)
    done
    sleep "$((seconds - 2))"
    load="$(cut -d' ' -f1 /proc/loadavg)"
    wait "${pids[@]}" || true
    echo "$1 $from $(date +%s%3N) $load" >> "$work/parts"
}

talk() { # the server's own models, until stopped
    for _ in 1 2 3 4; do
        ( while [ ! -e "$work/quiet" ]; do "$bin" call "$work/q.wav" "$work/q.wav" "$work/q.wav" --url "$url" --wait-for-agent --patience-s 20 --hangup-after 60; done ) > "$work/talk" 2>&1 & workers+=($!)
    done
    sleep 8
}

rivals() { # somebody else's, until stopped
    rm -f "$work/alone"
    for _ in $(seq "$(nproc)"); do
        ( while [ ! -e "$work/alone" ]; do "$bin" say "The kitchen is open until ten, and the bar until midnight, but for Sundays." --out "$work/$BASHPID.wav"; done ) > "$work/said" 2>&1 & workers+=($!)
    done
    sleep 4
}

workers=()
load before
part idle
talk
part inference
rivals
part rivals
touch "$work/alone"
sleep 4
part inference
touch "$work/quiet"
wait "${workers[@]}" || true
sleep 5
part idle
sleep 2
kill "$server"; wait "$server" || true
python3 benches/lateness.py "$work/calls.db" "$work/parts"
