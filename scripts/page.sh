#!/usr/bin/env bash
# Builds the web pages from src/console/web into src/console/dist, which the binary embeds.
set -euo pipefail
cd "$(dirname "$0")/../src/console/web"
if [ ! -e node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    touch node_modules/.installed
fi
npm run --silent build
