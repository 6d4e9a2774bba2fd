#!/usr/bin/env bash
# Puts what the peers tests need into target/peers, where it is kept between runs: a Python environment, Node packages, and,
# built from source with Go, a LiveKit server and versitygw. Without Go the tests that need these two are skipped, or fail with STRICT.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/peers
kept=target/peers
mkdir -p "$kept/bin" "$kept/node"

# shellcheck source=scripts/python.sh
. scripts/python.sh

# same KEPT FILE...: whether KEPT holds what the files hold now; `keep` notes it.
same() { [ -e "$1" ] && cat "${@:2}" | cmp -s - "$1"; }
keep() { cat "${@:2}" >"$1"; }

if ! same "$kept/python.txt" "$here/requirements.txt"; then
    python=$(find_python)
    [ -n "$python" ] || { echo "peers: Python 3.10 or newer with venv is needed" >&2; exit 1; }
    rm -rf "$kept/venv"
    "$python" -m venv "$kept/venv"
    "$kept/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    keep "$kept/python.txt" "$here/requirements.txt"
fi

if ! same "$kept/node.txt" "$here/package-lock.json"; then
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$kept/node/"
    (cd "$kept/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    keep "$kept/node.txt" "$here/package-lock.json"
fi

# These versions: the facts that the tests rest on were read off them, and later ones do not all install.
build() { # build NAME PACKAGE PROGRAM
    if [ -x "$kept/bin/$1" ]; then return; fi
    command -v go >/dev/null 2>&1 || return 0
    echo "peers: building $1 from source, once; this takes minutes"
    GOBIN="$PWD/$kept/bin" go install "$2"
    [ "$3" = "$1" ] || mv "$kept/bin/$3" "$kept/bin/$1"
}
build livekit-server github.com/livekit/livekit-server/cmd/server@v1.13.5 server
build versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0 versitygw

for program in livekit-server versitygw; do
    if [ ! -x "$kept/bin/$program" ]; then
        echo "#### peers: NO $program: install Go 1.26 or newer; the tests against it will be SKIPPED ####" >&2
        [ -z "${STRICT:-}" ] || exit 1
    fi
done
