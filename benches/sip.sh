#!/usr/bin/env bash
# How many telephones a second: sipp calls the echo persona (INVITE, hold, resume with another codec, two requests more, BYE: 2.0 s
# a call) at a rate, and the rows say how many of the calls there were and how they ended. sipp needs its share of the machine, too.
#
#   benches/sip.sh [CALLS] [CALLS_PER_SECOND]      500 calls at 100 a second unless said otherwise
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
calls="${1:-500}"; rate="${2:-100}"
command -v sipp > /dev/null || { echo "sipp is not here: scripts/system-packages.sh --test installs it"; exit 1; }
settings <<TOML
[sip]
listen = "127.0.0.1:0"
rtp_first = 42000
rtp_last = 49999
[calls]
max = 2000
[recording]
calls = "off"
$SCRIPTED
TOML
serve telephones
at="$(grep -o 'SIP on [0-9.:]*' "$work/out" | cut -d' ' -f3)"
play() { # calls, rate
    (cd "$work" && sipp "$at" -sf "$OLDPWD/tests/sip/call.xml" -s echo -m "$1" -r "$2" -i 127.0.0.1 -mi 127.0.0.1 -p 15060 -mp 50000 \
        -nostdin -skip_rlimit -timeout 120s -trace_stat -stf "$work/stat$1.csv" > "$work/sipp$1" 2>&1) || echo "sipp: some calls failed"
}
play 10 5
load before
before="$(sqlite3 "$work/calls.db" 'SELECT count(*) FROM calls')"
ticks0="$(ticks)"; rss0="$(memory)"; at0="$(date +%s%N)"
play "$calls" "$rate"
at1="$(date +%s%N)"; ticks1="$(ticks)"
sleep 3
rss1="$(memory)"
# What stays does not grow with the calls: as many once more, and the memory again.
play "$calls" "$rate"
sleep 3
load after
sqlite3 "$work/calls.db" "SELECT '  ended by ' || coalesce(end_reason, 'nothing yet') || ': ' || count(*) FROM (SELECT * FROM calls ORDER BY started_utc_ms LIMIT -1 OFFSET $before) GROUP BY end_reason"
python3 - "$calls" "$rate" "$ticks0" "$ticks1" "$at0" "$at1" "$rss0" "$rss1" "$(memory)" "$work/stat$calls.csv" <<'PY'
import csv, sys
calls, rate, t0, t1, a0, a1, r0, r1, r2 = (float(v) for v in sys.argv[1:10])
seconds = (a1 - a0) / 1e9
print(f"{calls:.0f} calls at {rate:.0f} a second in {seconds:.1f} s: {(t1 - t0) * 10 / calls:.1f} CPU-ms per call of 2 s, memory {r0 / 1024:.0f} MB before, {r1 / 1024:.0f} after, {r2 / 1024:.0f} after as many again")
rows = list(csv.DictReader(open(sys.argv[10]), delimiter=";"))
if rows:
    last = rows[-1]
    print(f"sipp: {last['SuccessfulCall(C)']} successful, {last['FailedCall(C)']} failed, {last['Retransmissions(C)']} messages sent again")
PY
