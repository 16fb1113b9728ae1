#!/usr/bin/env bash
# What a telephone's sound costs a second: rtpengine (Debian: rtpengine-daemon), which turns PCMU into Opus and back, and our server, which
# listens to PCMU and talks, with scripted models; both with the same packets, one after the other.
#
#   benches/telephone.sh [CALLS] [SECONDS]      10 calls of 20 seconds unless said otherwise
set -euo pipefail
# shellcheck source=benches/server.sh
source "$(dirname "$0")/server.sh"
port="$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
settings <<TOML
[sip]
listen = "127.0.0.1:$port"
rtp_first = 42000
rtp_last = 49999
[calls]
max = 2000
[recording]
calls = "off"
$SCRIPTED
TOML
python3 benches/telephone.py "$work/duologue.toml" "$bin" "$port" "${1:-10}" "${2:-20}"
