#!/usr/bin/env bash
# Several Salons on one Redis: docs/nodes.md says what is promised.
#
#   bash tests/nodes/run.sh [target/release/salon] [PART_OF_A_NAME ...]
#
# Starts a redis-server of its own on loopback, with a folder of its own. Prints `ok - ...` or `not ok - ...` for each
# check, and fails if one failed. Python 3 and redis-server are enough; without the latter it says `skipped`.
set -euo pipefail
salon=$(realpath "${1:-target/release/salon}")
shift || true
command -v redis-server >/dev/null || { echo "skipped - nodes: redis-server is not installed"; exit 0; }
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")"
PYTHONPATH=../faults exec python3 checks.py "$salon" "$@"
