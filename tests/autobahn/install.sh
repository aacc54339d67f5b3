#!/usr/bin/env bash
# Obtains the Autobahn WebSocket testsuite and prints the path of its `wstest`.
#
# The suite is a Python 2.7 program. Where there is no Python 2.7, it is unpacked from an older suite of the
# distribution, from the mirror that apt is configured for, into AUTOBAHN_HOME; nothing of the system changes. The suite
# itself and what it needs come from the package index that pip is configured for, with the versions pinned below.
#
# Environment:
#   AUTOBAHN_HOME  where to install (default ${XDG_CACHE_HOME:-~/.cache}/autobahn-wstest)
#   WSTEST         use this wstest; nothing is installed then
#   PYTHON2        a Python 2.7 interpreter to use, or "deb" to force the packages
set -euo pipefail

if [ -n "${WSTEST:-}" ]; then
    [ -x "$WSTEST" ] || { echo "autobahn: WSTEST=$WSTEST is not an executable" >&2; exit 2; }
    echo "$WSTEST"
    exit 0
fi

SUITE_VERSION=25.10.1
VIRTUALENV_VERSION=20.21.1 # the last line of virtualenv that can make a Python 2.7 environment
# The testsuite's own pins, completed with the newest releases that still run on 2.7.
REQUIREMENTS="
argparse==1.4.0
attrs==21.4.0
autobahn==0.10.9
autobahntestsuite==$SUITE_VERSION
Automat==22.10.0
cffi==1.15.1
constantly==15.1.0
cryptography==3.3.2
enum34==1.1.10
hyperlink==21.0.0
idna==2.10
incremental==16.10.1
ipaddress==1.0.23
Jinja2==2.11.3
klein==17.10.0
linecache2==1.0.0
MarkupSafe==1.1.1
pyasn1==0.5.1
pyasn1-modules==0.3.0
pycparser==2.21
PyHamcrest==1.10.1
pyOpenSSL==19.1.0
service-identity==18.1.0
setuptools==44.0.0
six==1.16.0
Twisted==19.10.0
traceback2==1.4.0
txaio==2.1.0
typing==3.10.0.0
unittest2==1.1.0
Werkzeug==1.0.1
zope.interface==4.6.0
"
# Compiled UTF-8 validation and masking for the fuzzing client (needs a C compiler).
ACCELERATOR="wsaccel==0.6.6"

say() { echo "autobahn: $*" >&2; }
die() { say "$*"; exit 2; }

HOME_DIR=${AUTOBAHN_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/autobahn-wstest}

# --- installation -----------------------------------------------------------

works() { "$1" -c 'import sys, ssl, zlib, ctypes, hashlib, bz2; assert sys.version_info[:2] == (2, 7)' >/dev/null 2>&1; }

find_python2() {
    local p
    if [ -n "${PYTHON2:-}" ] && [ "$PYTHON2" != deb ]; then
        works "$PYTHON2" || die "PYTHON2=$PYTHON2 is not a working Python 2.7"
        echo "$PYTHON2"; return
    fi
    if [ "${PYTHON2:-}" != deb ]; then
        for p in "$(command -v python2.7 || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
            if [ -x "$p" ] && works "$p"; then echo "$p"; return; fi
        done
    fi
    python2_from_packages
}

# python2.7 from the last suite of this distribution that has it, from the mirror
# that apt is configured for; unpacked under $HOME_DIR, nothing of the system
# changes and no root is needed.
python2_from_packages() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        die "no Python 2.7 here and no apt to get one; set PYTHON2 or WSTEST"
    local id suite comps extra uri a=$HOME_DIR/apt root=$HOME_DIR/python2 opts
    id=$(. /etc/os-release && echo "$ID")
    case $id in
        debian) suite=bullseye comps="main" extra="libssl1.1 libffi7" ;;
        ubuntu) suite=jammy comps="main universe" extra="libssl3 libffi8" ;; # not tested
        *) die "no Python 2.7 here and no recipe for $id; set PYTHON2 or WSTEST" ;;
    esac
    if [ ! -x "$root/usr/bin/python2.7" ]; then
        # The first configured archive that is the distribution's own, not its security one.
        uri=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' |
            grep -E "/$id/?\$|^mirror[+]file:" | head -n 1 || true)
        [ -n "$uri" ] || die "apt has no $id archive configured"
        say "no Python 2.7 here: unpacking it from suite $suite of $uri"
        mkdir -p "$a/lists/partial" "$a/cache/archives/partial" "$a/debs"
        : >"$a/status"
        echo '#clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;' >"$a/apt.conf"
        echo "deb $( [ -r /usr/share/keyrings/$id-archive-keyring.gpg ] &&
            echo "[signed-by=/usr/share/keyrings/$id-archive-keyring.gpg]") $uri $suite $comps" >"$a/sources.list"
        opts=(-qq -c "$a/apt.conf" -o "Dir::Etc::SourceList=$a/sources.list" -o Dir::Etc::SourceParts=-
            -o "Dir::State::Lists=$a/lists" -o "Dir::State::Status=$a/status" -o "Dir::Cache=$a/cache"
            -o "APT::Sandbox::User=$(id -un)" -o Acquire::Check-Valid-Until=false)
        apt-get "${opts[@]}" update >&2 || die "suite $suite cannot be had from the configured mirror"
        # shellcheck disable=SC2086
        (cd "$a/debs" && rm -f ./*.deb && apt-get "${opts[@]}" download python2.7-minimal \
            libpython2.7-minimal libpython2.7-stdlib libpython2.7-dev $extra >&2) ||
            die "python2.7 cannot be had from suite $suite"
        rm -rf "$root.new"
        for p in "$a"/debs/*.deb; do dpkg -x "$p" "$root.new"; done
        mv "$root.new" "$root"
        rm -rf "$a"
    fi
    local lib
    lib=$(cd "$root/usr/lib" && echo "$root/usr/lib/$(ls -d ./*-linux-gnu* | head -n 1 | cut -c3-)")
    {
        echo "export LD_LIBRARY_PATH='$lib'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
        echo "export C_INCLUDE_PATH='$root/usr/include:$root/usr/include/python2.7'\${C_INCLUDE_PATH:+:\$C_INCLUDE_PATH}"
    } >"$HOME_DIR/env.sh"
    . "$HOME_DIR/env.sh"
    works "$root/usr/bin/python2.7" || die "the unpacked Python 2.7 does not work"
    echo "$root/usr/bin/python2.7"
}

install_suite() {
    local py2 stamp
    mkdir -p "$HOME_DIR"
    exec 9>"$HOME_DIR/lock"
    flock 9
    stamp=$(printf '%s\n' "$REQUIREMENTS" "$ACCELERATOR" "$VIRTUALENV_VERSION" "${PYTHON2:-}" | sha256sum | cut -c1-16)
    if [ "$(cat "$HOME_DIR/stamp" 2>/dev/null)" != "$stamp" ] || [ ! -x "$HOME_DIR/venv/bin/wstest" ]; then
        say "installing autobahntestsuite $SUITE_VERSION under $HOME_DIR"
        rm -rf "$HOME_DIR/stamp" "$HOME_DIR/env.sh" "$HOME_DIR/venv" "$HOME_DIR/tools"
        py2=$(find_python2)
        if [ -f "$HOME_DIR/env.sh" ]; then . "$HOME_DIR/env.sh"; fi
        export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore PIP_NO_PYTHON_VERSION_WARNING=1
        python3 -m pip install -q --root-user-action=ignore --target "$HOME_DIR/tools" "virtualenv==$VIRTUALENV_VERSION" >&2 ||
            die "virtualenv could not be installed"
        PYTHONPATH="$HOME_DIR/tools" python3 -m virtualenv -q -p "$py2" "$HOME_DIR/venv" >&2 ||
            die "no Python 2.7 environment could be made with $py2"
        printf '%s\n' "$REQUIREMENTS" >"$HOME_DIR/requirements.txt"
        "$HOME_DIR/venv/bin/pip" install -q --no-deps -r "$HOME_DIR/requirements.txt" >&2 ||
            die "the testsuite could not be installed"
        "$HOME_DIR/venv/bin/pip" install -q --no-deps "$ACCELERATOR" >"$HOME_DIR/accelerator.log" 2>&1 ||
            say "note: $ACCELERATOR could not be built (see $HOME_DIR/accelerator.log); runs will be slower"
        "$HOME_DIR/venv/bin/wstest" --autobahnversion >&2 || die "the installed wstest does not start"
        echo "$stamp" >"$HOME_DIR/stamp"
    fi
    exec 9>&-
    if [ -f "$HOME_DIR/env.sh" ]; then . "$HOME_DIR/env.sh"; fi
    WSTEST=$HOME_DIR/venv/bin/wstest
}

install_suite
# A python2.7 from packages needs its own libraries, also when wstest is started from elsewhere.
launcher=$HOME_DIR/wstest
{
    echo '#!/usr/bin/env bash'
    echo "[ ! -f '$HOME_DIR/env.sh' ] || . '$HOME_DIR/env.sh'"
    echo "exec '$HOME_DIR/venv/bin/wstest' \"\$@\""
} >"$launcher.new"
chmod +x "$launcher.new"
mv "$launcher.new" "$launcher"
echo "$launcher"
