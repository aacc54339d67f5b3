#!/usr/bin/env bash
# The Autobahn testsuite against `salon echo`, or with a client of `salon-proto`.
#
#   bash tests/autobahn/run.sh [-b SALON_BINARY | -c CLIENT_BINARY] [CASES...]
#
#   bash tests/autobahn/run.sh -c target/release/examples/autobahn_client 12.1.1
#   bash tests/autobahn/run.sh                         all 517 cases (about half an hour)
#   bash tests/autobahn/run.sh '[1-79].*' '10.*'       a part, by the suite's patterns: '1.*', '12.1.*', '7.5.1'
#
# Starts the binary on a free loopback port and ends it by its process id. The suite is obtained by install.sh; judge.py
# decides about the report: every case must be OK, but for those of which the suite itself only wants to inform.
#
# Environment: OUT (report folder, default a temporary one), JOBS (suite processes at once, default 2), and those of
# install.sh. Exit: 0 as expected; 1 some case is not; 2 trouble with the suite or the binary.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
salon=$here/../../target/release/salon
if [ "${1:-}" = -b ]; then salon=$2; shift 2; fi
if [ "${1:-}" = -c ]; then
    client=$(realpath "$2"); shift 2
    [ $# -gt 0 ] || set -- '*'
    wstest=$(bash "$here/install.sh")
    exec python3 "$here/judge.py" --wstest "$wstest" --client "$client" --out "${OUT:-$(mktemp -d)}" --jobs "${JOBS:-2}" "$@"
fi
[ -x "$salon" ] || { echo "no salon binary at $salon: cargo build --release" >&2; exit 2; }
[ $# -gt 0 ] || set -- '*'

wstest=$(bash "$here/install.sh")
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
log=$out/salon.log
"$salon" echo --listen 127.0.0.1:0 2>"$log" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
until url=$(grep -o 'ws://[^/]*/' "$log"); do
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 2; }
    sleep 0.05
done
python3 "$here/judge.py" --wstest "$wstest" --url "$url" --out "$out" --jobs "${JOBS:-2}" "$@"
