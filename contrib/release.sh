#!/usr/bin/env bash
# Makes all files of a release, from a clean tree, into FOLDER, which is made or is empty:
#
#   contrib/release.sh FOLDER            for both targets
#   contrib/release.sh FOLDER TARGET     for one of them
#
#   salon-VERSION-TARGET.tar.gz         a static Salon and what belongs to it, for x86_64 and aarch64 with Linux
#   salon_VERSION_ARCHITECTURE.deb      the same for Debian and its kind
#   salon-VERSION-ARCHITECTURE.oci.tar  the image of contrib/Dockerfile, as an archive
#   salon-VERSION-TARGET.cdx.json       what the binary is made of (SBOM, CycloneDX)
#   salon-VERSION-made-with.txt         the programs that made all this
#   SHA256SUMS                          of all these
#
# The same commit and the same programs give the same bits, wherever the tree and FOLDER are. Compiles in
# CARGO_TARGET_DIR, by default target. Each binary is run at the end, that of the other architecture by qemu, and says a
# message (tests/release). It publishes nothing and signs nothing.
set -euo pipefail
umask 022
step() { printf '== %s (%ss)\n' "$*" "$SECONDS"; }

targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
if [ $# -eq 2 ] && [[ " ${targets[*]} " == *" $2 "* ]]; then
    targets=("$2")
elif [ $# -ne 1 ]; then
    echo "expected: contrib/release.sh FOLDER, or FOLDER and one of ${targets[*]}" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
declare -A architectures=([x86_64]=amd64 [aarch64]=arm64)

step "what is here"
problems=()
unclean=$(git status --porcelain)
[ -z "$unclean" ] || problems+=("the tree is not clean; commit or stash:"$'\n'"$unclean")
[ -z "$(ls -A "$folder")" ] || problems+=("$folder is not empty")
needs() { # NAME, WHAT INSTALLS IT, COMMAND...
    "${@:3}" >/dev/null 2>&1 || problems+=("$1 is missing: $2")
}
for target in "${targets[@]}"; do
    [ -d "$(rustc --print target-libdir --target "$target")" ] ||
        problems+=("Rust's library for $target is missing: rustup target add $target")
done
zig=(python3 -m ziglang)
! command -v zig >/dev/null || zig=(zig)
needs cargo-zigbuild "pip install cargo-zigbuild" cargo-zigbuild --version
needs zig "pip install ziglang" "${zig[@]}" version
needs cargo-cyclonedx "cargo install cargo-cyclonedx --locked" cargo cyclonedx --version
needs dpkg-deb "apt-get install dpkg" dpkg-deb --version
needs deb-systemd-helper "apt-get install init-system-helpers" command -v deb-systemd-helper
needs systemd-sysusers "apt-get install systemd" systemd-sysusers --version
needs buildah "apt-get install buildah" buildah --version
needs "Python's venv" "apt-get install python3-venv" python3 -c 'import venv, ensurepip'
for target in "${targets[@]}"; do
    [ "${target%%-*}" = "$(uname -m)" ] ||
        needs qemu "apt-get install qemu-user-static" "qemu-${target%%-*}-static" --version
done
if [ ${#problems[@]} -gt 0 ]; then
    printf 'release.sh: %s\n' "${problems[@]}" >&2
    exit 1
fi

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | sed -n 1p)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC0
mkdir -p "${CARGO_TARGET_DIR:=target}"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
export CARGO_TARGET_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step "Salon $version of $(git log -1 --format='%h, %cs')"

# All that is fetched, before the folders of sources are named below.
cargo fetch --locked
# No path of this machine is in a binary. The last one that fits holds.
maps=("$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')")
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do maps+=("$sources=/crates"); done
maps+=("$PWD=/salon" "$CARGO_TARGET_DIR=/target")
rust='' c=''
for map in "${maps[@]}"; do
    rust+=${rust:+$'\x1f'}--remap-path-prefix=$map
    # The folders may have spaces in their names.
    c+=" $(printf %q "-ffile-prefix-map=$map")"
done
# Zig is the C compiler and the linker for both, with musl's headers; its caches are among what is compiled.
for target in "${targets[@]}"; do
    step "compiles for $target"
    CARGO_ENCODED_RUSTFLAGS=$rust CFLAGS=$c CC_SHELL_ESCAPED_FLAGS=1 \
        CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=symbols \
        CARGO_ZIGBUILD_CACHE_DIR=$CARGO_TARGET_DIR/zigbuild \
        ZIG_GLOBAL_CACHE_DIR=$CARGO_TARGET_DIR/zig ZIG_LOCAL_CACHE_DIR=$CARGO_TARGET_DIR/zig \
        cargo zigbuild --release --locked --package salon --bin salon --target "$target"
done

buildah=(buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs)
for target in "${targets[@]}"; do
    binary=$CARGO_TARGET_DIR/$target/release/salon
    architecture=${architectures[${target%%-*}]}
    step "packs $target: $(stat -c %s "$binary") bytes"
    contrib/package.sh "$binary" "$target" "$folder"

    image=salon-$version-$architecture
    install -D -m 755 "$binary" "$work/$image/build/salon"
    mkdir "$work/$image/build/data" "$work/$image/context"
    "${buildah[@]}" build --quiet --isolation chroot --platform "linux/$architecture" --identity-label=false \
        --timestamp "$SOURCE_DATE_EPOCH" --build-context "build=$work/$image/build" --file contrib/Dockerfile \
        --tag "salon:$version-$architecture" "$work/$image/context" >/dev/null
    "${buildah[@]}" push --quiet "salon:$version-$architecture" "oci:$work/$image/oci:salon:$version"
    # buildah's own archive would have the times of these files.
    (cd "$work/$image/oci" && find . -type f -printf '%P\n' | sort) >"$work/$image/names"
    tar -C "$work/$image/oci" --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --mode=u=rw,go=r --no-recursion -cf "$folder/$image.oci.tar" -T "$work/$image/names"
done

step "says what is in it"
# It writes beside each Cargo.toml, so not into this tree, and has the path in what it writes.
mkdir "$work/tree"
git archive HEAD | tar -x -C "$work/tree"
for target in "${targets[@]}"; do
    name=salon-$version-$target.cdx
    (cd "$work/tree" && cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" \
        --no-build-deps --override-filename "$name")
    sed "s|$work/tree|/salon|g" "$work/tree/$name.json" >"$folder/$name.json"
done
{
    git log -1 --format='Salon %H'
    rustc -vV
    cargo --version
    cargo-zigbuild --version
    echo "zig $("${zig[@]}" version)"
    cargo cyclonedx --version
    # Not `head`, behind which the program would end by SIGPIPE.
    dpkg-deb --version | sed -n 1p
    tar --version | sed -n 1p
    gzip --version | sed -n 1p
    buildah --version
} >"$folder/salon-$version-made-with.txt"
(cd "$folder" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)

for target in "${targets[@]}"; do
    step "runs what was made for $target"
    bash tests/release/run.sh --made "$folder" "$target"
done
step "done: $folder"
cat "$folder/SHA256SUMS"
