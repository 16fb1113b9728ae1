#!/usr/bin/env bash
# What a telephone's sound costs a second: rtpengine (Debian: rtpengine-daemon), which turns PCMU into Opus and back, and our server, which
# listens to PCMU and talks, with scripted models; both with the same packets, one after the other.
#
#   benches/telephone.sh [CALLS] [SECONDS]      10 calls of 20 seconds unless said otherwise
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${CARGO_TARGET_DIR:-$HOME/.cache/duologue/target}/release/duologue"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
port="$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
cat > "$work/duologue.toml" <<TOML
[http]
listen = "127.0.0.1:0"
[media]
udp_port = 0
[sip]
listen = "127.0.0.1:$port"
rtp_first = 42000
rtp_last = 49999
[calls]
max = 2000
[recording]
calls = "off"
[asr]
backend = "scripted"
[judge]
kind = "rules"
[llm]
backend = "scripted"
[tts]
backend = "scripted"
[store]
path = "$work/calls.db"
TOML
PYTHONDONTWRITEBYTECODE=1 python3 benches/telephone.py "$work/duologue.toml" "$bin" "$port" "${1:-10}" "${2:-20}"
