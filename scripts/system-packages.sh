#!/bin/sh
# Installs the Debian/Ubuntu packages that building and running needs, and says which and why; does nothing when all are
# there. With --test also what the tests need. Checks the tool chains that no such package provides new enough.
set -eu

with_tests=no
for argument in "$@"; do
    case $argument in
    --test) with_tests=yes ;;
    *)
        echo "usage: $0 [--test]" >&2
        exit 2
        ;;
    esac
done

# package: why
needed='cmake: builds whisper.cpp, llama.cpp, espeak-ng and Opus
g++: compiles them
make: runs their builds
pkg-config: finds the system libraries
clang: reads C headers for the Rust bindings
libclang-dev: reads C headers for the Rust bindings
libsonic-dev: changes the speed of speech in espeak-ng
python3-pip: fetches models'
test_needed='chromium: plays the caller in the browser test
fonts-dejavu-core: lets the browser draw text
sqlite3: reads the call database from outside
sip-tester: calls as a telephone exchange does (sipp)
kamailio: an exchange that the server registers with
kamailio-tls-modules: the same over TLS
baresip-core: calls as a telephone does
coturn: relays a call for a page behind a wall
openssl: checks a signature from outside'
if [ "$with_tests" = yes ]; then
    needed="$needed
$test_needed"
fi

# Looks for pip without starting it, which would take most of this script's time.
has_pip() {
    python3 -c 'from importlib.util import find_spec; raise SystemExit(find_spec("pip") is None)' 2>/dev/null
}

# Whether what a package provides is here: by dpkg, or by a program that came another way.
is_here() {
    case $1 in
    python3-pip) has_pip && return 0 ;;
    chromium)
        # Ubuntu's package of this name only installs a snap, which has no place on servers.
        for browser in chromium chromium-browser google-chrome google-chrome-stable; do
            command -v "$browser" >/dev/null 2>&1 && return 0
        done
        ;;
    g++ | cmake | make | clang | pkg-config | sqlite3 | openssl) command -v "$1" >/dev/null 2>&1 && return 0 ;;
    esac
    case $installed in
    *"|$1|"*) return 0 ;;
    esac
    return 1
}

# The names of all installed packages between bars: one call of dpkg-query for all questions.
list_installed() {
    names=$(printf '%s\n' "$needed" | cut -d: -f1)
    # shellcheck disable=SC2086  # one argument for each name
    dpkg-query -W -f='${db:Status-Status} ${Package}\n' $names 2>/dev/null | sed -n 's/^installed //p' | tr '\n' '|'
}

install_missing() {
    installed=
    if command -v dpkg-query >/dev/null 2>&1; then
        installed="|$(list_installed || true)"
    fi
    missing=
    while IFS=: read -r package why; do
        if ! is_here "$package"; then
            [ -n "$missing" ] || echo 'system packages to install:'
            printf '  %-18s%s\n' "$package" "$why"
            missing="$missing $package"
        fi
    done <<LIST
$needed
LIST
    [ -n "$missing" ] || return 0

    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no apt-get on this system: install the above with its own package manager, then run this again" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "not root and no sudo here; as root, run: apt-get install$missing" >&2
            exit 1
        fi
        as_root=sudo
    fi
    $as_root apt-get update -q
    # shellcheck disable=SC2086  # one argument for each package
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# Whether version $1 (1.95.0) is at least $2 (1.94).
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

faults=0
fault() {
    echo "$1" >&2
    faults=1
}

check_tools() {
    if ! command -v rustc >/dev/null 2>&1 || ! command -v cargo >/dev/null 2>&1; then
        fault 'Rust is missing: install it with rustup (rustup.rs), 1.94 or newer'
    else
        rust=$(rustc --version | cut -d' ' -f2)
        at_least "$rust" 1.94 || fault "Rust $rust is too old, 1.94 or newer is needed: run \`rustup update stable\`"
    fi
    if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
        fault 'Node.js is missing (it builds the page): install version 20 or newer from nodejs.org, or `apt-get install nodejs npm`'
    else
        node=$(node --version | tr -d v)
        at_least "$node" 18 || fault "Node.js $node is too old, 18 or newer is needed (nodejs.org)"
    fi
    has_pip ||
        fault 'python3 has no pip (it fetches the models): `apt-get install python3-pip`, or `python3 -m ensurepip`'
    return $faults
}

install_missing
check_tools
