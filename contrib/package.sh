#!/bin/sh
# Packs a static Salon that is there already into FOLDER, as an archive and as a package for Debian:
#
#   contrib/package.sh BINARY TARGET FOLDER
#
#   FOLDER/salon-VERSION-TARGET.tar.gz
#   FOLDER/salon_VERSION_ARCHITECTURE.deb
#
# TARGET is Rust's name of what the binary runs on (x86_64-unknown-linux-musl). The same binary gives the same bits: the
# times of all files are SOURCE_DATE_EPOCH, by default the time of the last commit. The script compiles nothing and
# starts nothing; contrib/release.sh makes a whole release.
set -eu
binary=$(realpath "$1") target=$2 folder=$(mkdir -p "$3" && cd "$3" && pwd)
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC0 SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
# With more threads xz gives other bits.
export DPKG_DEB_THREADS_MAX=1

case $target in
x86_64-*) architecture=amd64 ;;
aarch64-*) architecture=arm64 ;;
*) echo "package.sh: expected a target of x86_64 or aarch64, found $target" >&2 && exit 2 ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# 1.0.0-rc.1 comes before 1.0.0, which Debian writes in another way.
debian=$(echo "$version" | tr - '~')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 contrib/licences.py "$target" >"$work/licences"

name=salon-$version-$target
root=$work/$name
install -D -m 755 "$binary" "$root/salon"
install -m 644 -t "$root" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT
install -m 644 "$work/licences" "$root/LICENSES-OF-PARTS"
install -D -m 644 -t "$root/systemd" contrib/systemd/salon.service contrib/systemd/salon.socket
tar -C "$work" --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -c "$name" |
    gzip -9n >"$folder/$name.tar.gz"

root=$work/deb
doc=$root/usr/share/doc/salon
install -D -m 755 "$binary" "$root/usr/bin/salon"
install -D -m 644 contrib/deb/salon.toml "$root/etc/salon/salon.toml"
install -D -m 644 contrib/deb/sysusers.conf "$root/usr/lib/sysusers.d/salon.conf"
install -D -m 644 -t "$root/usr/lib/systemd/system" contrib/systemd/salon.socket
# The package has a user of its own, so that files of settings and keys can belong to it. A service whose user systemd
# makes removes what is left of IPC; here that is said.
sed -e '1,2c # Salon under systemd. Settings: /etc/salon/salon.toml; this unit is changed by: systemctl edit salon' \
    -e 's|/usr/local/bin/salon|/usr/bin/salon|' \
    -e 's|^DynamicUser=yes$|User=salon\nGroup=salon\nRemoveIPC=yes|' \
    contrib/systemd/salon.service >"$root/usr/lib/systemd/system/salon.service"
install -D -m 644 contrib/deb/copyright "$doc/copyright"
gzip -9n >"$doc/changelog.gz" <<END
salon ($debian) unstable; urgency=medium

  * What has changed for users is in NEWS.gz, beside this file.

 -- $(sed -n 's/^Maintainer: //p' contrib/deb/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
gzip -9n <CHANGELOG.md >"$doc/NEWS.gz"
gzip -9n <"$work/licences" >"$doc/LICENSES-OF-PARTS.gz"
install -D -m 644 contrib/deb/lintian "$root/usr/share/lintian/overrides/salon"
# As dpkg-gencontrol counts, in KiB, so that the file system plays no part.
size=$(find "$root" -printf '%y %s\n' | awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }')
mkdir "$root/DEBIAN"
sed -e "s/@VERSION@/$debian/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" contrib/deb/control \
    >"$root/DEBIAN/control"
echo /etc/salon/salon.toml >"$root/DEBIAN/conffiles"
(cd "$root" && find etc usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
install -m 755 -t "$root/DEBIAN" contrib/deb/postinst contrib/deb/prerm contrib/deb/postrm
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/conffiles" "$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$folder/salon_${debian}_$architecture.deb" >/dev/null
