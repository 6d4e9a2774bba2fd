#!/bin/sh
# Makes the secrets of compose.yaml: random ones in deploy/.env, readable by its owner only. Makes them once; delete the file for others.
set -eu
umask 077
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo "deploy/.env is there already" >&2
    exit 0
fi
secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
cat >.env <<END
APP_ID=$(secret)
CUSTOMER_ID=$(secret)
CUSTOMER_SECRET=$(secret)
LIVEKIT_SECRET=$(secret)
BUCKET_SECRET=$(secret)
END
echo "deploy/.env has the app id and the credentials" >&2
