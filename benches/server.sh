# shellcheck shell=bash disable=SC2034  # who sources it uses the rest
# What the benchmarks of a running server have in common; they source it.
#
#   settings <<TOML ... TOML     $work/duologue.toml: free ports, a database in $work, and what is given, which may begin with keys of [media]
#   serve [SIGN]                 starts it, waits until it says so (SIGN, "ready" otherwise), and leaves $server (its process) and $url
#   ticks, memory                of the server: processor time in ticks of 10 ms, resident memory in kB
#   load WHEN                    says the load average, for the machine may be shared
#   $SCRIPTED                    settings without models: what calls cost is measured, not what the models do
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin="${CARGO_TARGET_DIR:-$HOME/.cache/duologue/target}/release/duologue"
work="$(mktemp -d)"
server=""
# Python leaves nothing of its own in the checkout.
export PYTHONDONTWRITEBYTECODE=1
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

SCRIPTED='[asr]
backend = "scripted"
[judge]
kind = "rules"
[llm]
backend = "scripted"
[tts]
backend = "scripted"'

settings() {
    {
        printf '[http]\nlisten = "127.0.0.1:0"\n[store]\npath = "%s/calls.db"\n[media]\nudp_port = 0\n' "$work"
        cat
    } > "$work/duologue.toml"
}

serve() {
    "$bin" serve --config "$work/duologue.toml" > "$work/out" 2> "$work/err" &
    server=$!
    for _ in $(seq 240); do grep -qs "${1:-ready}" "$work/out" && break; sleep 0.5; done
    grep -q "${1:-ready}" "$work/out" || { cat "$work/err"; exit 1; }
    url="$(grep -o 'http://[0-9.:]*' "$work/out" | head -n 1)"
}

ticks() { awk '{print $14 + $15}' "/proc/$server/stat"; }
memory() { awk '/^VmRSS/ {print $2}' "/proc/$server/status"; }
load() { printf '%-21s%s\n' "load average $1:" "$(cut -d' ' -f1-3 /proc/loadavg), cores: $(nproc)"; }
