#!/usr/bin/env bash
# Clients that nobody here wrote, against the binary: `websockets` and `wsproto` from PyPI, `ws` from npm, openssl and
# curl; and nginx between. And the two packages for others, `clients/js` and `clients/python`.
#
#   bash tests/clients/run.sh [target/release/salon [target/release/examples]]
#
# The examples are those of salon-proto, `autobahn_client` and `hyper`: without them a check says that it is skipped.
#
# Installs them into a temporary folder, starts the binary on free loopback ports, ends it by its process id.
set -euo pipefail
cd "$(dirname "$0")"
salon=$(cd ../.. && realpath "${1:-target/release/salon}")
examples=$(cd ../.. && realpath "${2:-target/release/examples}")
repository=$(realpath ../..)
work=$(mktemp -d)
export SALON_STORE=memory
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() {
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    echo "nothing listens on port $1" >&2
    return 1
}

python3 -m venv "$work/venv"
export PYTHONDONTWRITEBYTECODE=1
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
cp -r ../../clients/python "$work/python" # where it is built, files are left
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$work/python"
cp package.json package-lock.json "$work/"
(cd "$work" && npm ci --silent --no-audit --no-fund)

port=$(free_port) admin=$(free_port)
"$salon" serve --listen "127.0.0.1:$port" --admin "127.0.0.1:$admin" --rate off --log warn &
pids+=($!)
wait_for "$port"

# One that keeps all that 20 speakers say, and waits for 30 people who are one process.
speakers=$(free_port)
"$salon" serve --listen "127.0.0.1:$speakers" --admin off --rate off --history 100000 --outbox-bytes 64MiB --log warn &
pids+=($!)
wait_for "$speakers"

# With compression: a chat that allows it, and the echo server, which always does.
deflate=$(free_port) deflate_admin=$(free_port) echo=$(free_port)
"$salon" serve --deflate --listen "127.0.0.1:$deflate" --admin "127.0.0.1:$deflate_admin" --rate off --log warn &
pids+=($!)
"$salon" echo --listen "127.0.0.1:$echo" --log warn &
pids+=($!)

# With TLS.
tls=$(free_port) tls_admin=$(free_port)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
"$salon" serve --listen off --tls-listen "127.0.0.1:$tls" --tls-cert "$work/cert.pem" --tls-key "$work/key.pem" \
    --admin "127.0.0.1:$tls_admin" --rate off --head-within 2s --message-bytes 2MiB --content-bytes 1MiB \
    --outbox-bytes 16MiB --log warn &
pids+=($!)
wait_for "$deflate"
wait_for "$echo"
wait_for "$tls"

status=0
echo "-- python websockets"
"$work/venv/bin/python" chat_websockets.py "$port" || status=1
echo "-- a room of 1,000 with 10 speakers (python websockets)"
"$work/venv/bin/python" room_of_1000.py "$port" || status=1
echo "-- 20 speakers, both dialects, and cuts in the middle (python websockets, node ws)"
cp listener_ws.mjs "$work/"
folder=$work
command -v node >/dev/null || folder=
"$work/venv/bin/python" twenty_speakers.py "$speakers" "$folder" || status=1
echo "-- permessage-deflate (python websockets)"
"$work/venv/bin/python" deflate_websockets.py "$deflate" "$deflate_admin" "$echo" || status=1
echo "-- both dialects, everything compressed that may be (python websockets)"
"$work/venv/bin/python" chat_websockets.py "$deflate" || status=1
echo "-- TLS (python websockets and ssl, openssl, curl)"
"$work/venv/bin/python" tls.py "$tls" "$work/cert.pem" || status=1
echo "-- behind nginx, by the lines of docs/operating.md (python websockets)"
"$work/venv/bin/python" nginx.py "$salon" ../../docs/operating.md || status=1
if [ -x "$examples/autobahn_client" ] && [ -x "$examples/hyper" ]; then
    echo "-- the same bytes as python wsproto, on either side, with permessage-deflate and without"
    "$work/venv/bin/python" differential_wsproto.py "$echo" "$examples/autobahn_client" || status=1
    echo "-- the codec and python wsproto talk to each other, on either side"
    "$work/venv/bin/python" talk_wsproto.py "$examples/hyper" "$examples/autobahn_client" || status=1
else
    echo "skipped - python wsproto: no autobahn_client and hyper in $examples"
fi
if command -v node >/dev/null; then
    echo "-- node ws"
    cp -r ../cases checks.mjs chat_ws.mjs deflate_ws.mjs "$work/" && (cd "$work" && node chat_ws.mjs "$port") || status=1
    echo "-- permessage-deflate (node ws)"
    (cd "$work" && node deflate_ws.mjs "$deflate" "$echo") || status=1
fi
echo "-- clients/python"
"$work/venv/bin/python" salon_client.py "$salon" "$repository" || status=1
# The other one needs the WebSocket of Node 22.
node=$(command -v node || true)
if [ -n "$node" ] && [ "$("$node" -p 'parseInt(process.versions.node)')" -lt 22 ]; then
    kind=node-linux-$([ "$(uname -m)" = aarch64 ] && echo arm64 || echo x64)
    npm install --prefix "$work/node22" --silent --no-audit --no-fund "$kind@22.23.5" || true
    node=$work/node22/node_modules/$kind/bin/node
fi
if [ -x "$node" ]; then
    echo "-- clients/js ($("$node" --version))"
    cp salon_client.mjs ../browser/harness.mjs "$work/"
    (cd "$work" && WITHIN=60000 "$node" salon_client.mjs "$salon" "$repository") || status=1
else
    echo "skipped - clients/js: no Node 22 here"
fi
exit $status
