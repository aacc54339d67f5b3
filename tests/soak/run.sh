#!/usr/bin/env bash
# A day in minutes: people who talk, and everything that goes wrong meanwhile, against one Salon.
#
#   bash tests/soak/run.sh [target/release/salon] [MINUTES]
#
# People are clients with `websockets` from PyPI, installed into a temporary folder. Says what it is doing every ten
# seconds, and at the end what held; the exit status is 0 if all did. Connections are killed with `ss -K` where that
# works (root).
set -euo pipefail
salon=$(realpath "${1:-target/release/salon}")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r ../clients/requirements.txt
"$work/venv/bin/python" soak.py "$salon" "${2:-1}" "$work"
