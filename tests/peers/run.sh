#!/usr/bin/env bash
# Runs the peers tests against target/debug/cloud-recorder. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/peers/setup.sh
exec target/peers/venv/bin/python -m pytest tests/peers -rs -p no:cacheprovider "$@"
