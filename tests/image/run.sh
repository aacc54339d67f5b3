#!/usr/bin/env bash
# The image of contrib/Dockerfile, built and run: its last stage as it stands, around a binary that contrib/static.sh
# made.
#
#   bash tests/image/run.sh STATIC_BINARY
#
# Needs root and buildah; no registry is asked, because that stage is FROM scratch. The image runs in an empty root by
# chroot and, where podman can start anything at all, as a container; where it cannot, that is said. Prints the image's
# size.
set -euo pipefail
salon=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=../clients
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r ../clients/requirements.txt
mkdir -p "$work/build/data"
cp "$salon" "$work/build/salon"
"$work/venv/bin/python" image.py "$work"
