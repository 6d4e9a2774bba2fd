#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs and this machine does not have.
# Usage: scripts/setup.sh demo|test
set -euo pipefail

purpose=${1:-test}
case "$purpose" in
    demo | test) ;;
    *) echo "usage: scripts/setup.sh demo|test" >&2; exit 64 ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }

fail() {
    echo "setup: $*" >&2
    exit 1
}

missing=()
need() { # need COMMAND PACKAGE...: the Debian packages to install when the command is not there
    local command=$1
    shift
    have "$command" || missing+=("$@")
}

# For bindgen: libclang and the headers that come with it.
have_libclang() { [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null || compgen -G '/usr/lib*/libclang.so' >/dev/null; }

have_compiler() { have cc || have gcc || have clang; }

# Node 20 or newer drives the browser; Node 18 or newer builds the page.
node_major() { node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/'; }

# The first Python of version 3.10 or newer that can make a virtual environment.
# shellcheck source=scripts/python.sh
. "$(dirname "$0")/python.sh"

have cargo || fail "cargo is not here. Install Rust 1.94 or newer with rustup (the page www.rust-lang.org/tools/install says how), then run this again."

have_compiler || missing+=(build-essential)
need cmake cmake
have node && have npm || missing+=(nodejs npm)
if [ "$purpose" = test ]; then
    need ffmpeg ffmpeg
    need promtool prometheus
    have_libclang || missing+=(libclang-dev)
    have chromium || have chromium-browser || have google-chrome || missing+=(chromium)
    have firefox-esr || have firefox || missing+=(firefox-esr)
    [ -n "$(find_python)" ] || missing+=(python3 python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    have apt-get || fail "please install these, by the names your system gives them, and run this again: ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "please run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

[ "$(node_major)" -ge 18 ] || fail "node $(node --version) is too old: the page needs Node 18 or newer."
if [ "$purpose" = test ]; then
    if [ -n "${STRICT:-}" ]; then
        have go || fail "STRICT: Go 1.26 or newer is not here, which builds the LiveKit server and the S3 server of tests/peers."
        [ "$(id -u)" -eq 0 ] && losetup -f >/dev/null || fail "STRICT: no root, or no loop device, which tests/recovery mounts disks with."
    fi
    [ "$(node_major)" -ge 20 ] || fail "node $(node --version) is too old: the browser tests need Node 20 or newer."
    [ -n "$(find_python)" ] || fail "the peers tests need Python 3.10 or newer with venv; none was found."
    cargo fmt --version >/dev/null 2>&1 || fail "rustfmt is not here: run 'rustup component add rustfmt'."
    cargo clippy --version >/dev/null 2>&1 || fail "clippy is not here: run 'rustup component add clippy'."
fi
echo "setup: everything that 'make $purpose' needs is here"
