#!/usr/bin/env bash
# Checks licences, sources and duplicate crates where cargo-deny is installed; says so and goes on where it is not.
set -euo pipefail
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --locked check bans licenses sources
else
    echo "deny: cargo-deny is not installed; licences and sources were not checked"
fi
