#!/usr/bin/env bash
# Faults, injected for real into a running Salon: docs/faults.md says what is promised for each.
#
#   bash tests/faults/run.sh [target/release/salon] [PART_OF_A_NAME ...]
#
# Prints `ok - ...`, `skipped - ...: why` or `not ok - ...` for each, and fails if one failed. Python 3 alone is enough;
# what some checks need besides (root, strace, nft, a C compiler, libfaketime) is said when it is missing. JOBS=1 runs
# one at a time.
set -euo pipefail
salon=$(realpath "${1:-target/release/salon}")
shift || true
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$(dirname "$0")/checks.py" "$salon" "$@"
