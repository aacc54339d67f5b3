#!/bin/sh
# Builds a Salon that needs nothing of the machine it runs on, no C library either, and puts it into FOLDER:
#
#   contrib/static.sh FOLDER
#
# and beside it an empty folder, data, which the image has for a volume.
#
# With glibc (it wants libc.a: libc6-dev on Debian) or musl, whichever this Rust is for. A static glibc can look up no
# names in an empty root; only `salon bench` ever does.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
# The flag is for the last step alone: what a release build has made already is used, and Cargo keeps both binaries
# apart.
cargo rustc --release --locked --package salon --bin salon -- -C target-feature=+crt-static
mkdir -p "$folder/data"
install -s -m 755 "${CARGO_TARGET_DIR:-target}/release/salon" "$folder/salon"
