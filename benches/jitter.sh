#!/usr/bin/env bash
# The jitter buffer over seeded traces: concealed sound, delay and PESQ-WB for each network, with and without time-stretch in
# speech, and the CPU of a tick. Real speech (read English, 16 kHz); the scores are those of `pesq` from PyPI in a venv of
# its own. What was heard stays in the folder that is named at the end, for a recogniser to be run over.
#
#   benches/jitter.sh [SECONDS] [SPEECH]    240 seconds of speech a network unless said otherwise; SPEECH is a folder of WAVs
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-240}"
speech="${2:-${DUOLOGUE_TESTDATA:-../shared/testdata}/librispeech}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/duologue/target}"
[ -d "$speech" ] || { echo "no speech in $speech: name a folder of 16 kHz WAVs as the second argument" >&2; exit 1; }
python="$CARGO_TARGET_DIR/bench-venv/bin/python"
if ! "$python" -c 'import pesq, soundfile' 2>/dev/null; then
    python3 -m venv "$CARGO_TARGET_DIR/bench-venv"
    "$python" -m pip install --quiet 'numpy<3' pesq==0.0.4 soundfile==0.13.1
fi
out="$(mktemp -d -t duologue-jitter-XXXX)"
bench=(cargo bench --quiet --profile release -p duologue-core --bench jitter --)
echo "load average before: $(cut -d' ' -f1-3 /proc/loadavg), cores: $(nproc)"
"${bench[@]}" quality "$out" "$seconds" "$speech"/*.wav > "$out/networks.jsonl"
"$python" benches/jitter.py "$out"
"${bench[@]}" cost "$speech"/*.wav
echo "load average after:  $(cut -d' ' -f1-3 /proc/loadavg)"
echo "what was heard: $out"
