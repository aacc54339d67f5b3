#!/usr/bin/env bash
# The files of a release, looked into, installed into a root of their own, and run.
#
#   bash tests/release/run.sh STATIC_BINARY         packs it (contrib/package.sh) and judges the archive and the package
#   bash tests/release/run.sh --made FOLDER TARGET  judges those of TARGET in FOLDER, which contrib/release.sh has made
#
# Needs dpkg and the programs that its scripts call (init-system-helpers, systemd); no root, no network but PyPI. A
# binary of another architecture runs by qemu-user-static.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$1" = --made ]; then
    folder=$(realpath "$2") target=$3
else
    folder=$work/made target=$(uname -m)-unknown-linux-gnu
    "$(dirname "$0")/../../contrib/package.sh" "$1" "$target" "$folder"
fi
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=../clients
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$(grep '^websockets==' ../clients/requirements.txt)"
mkdir "$work/root"
"$work/venv/bin/python" release.py "$folder" "$target" "$work"
