#!/usr/bin/env bash
# Builds the examples and lets them speak to each other, over loopback.
#
#   bash crates/salon-proto/examples/run.sh
set -euo pipefail
cd "$(dirname "$0")/../../.."
cargo build --locked --package salon-proto --all-features --examples
cargo build --locked --package salon-engine --examples
at=${CARGO_TARGET_DIR:-target}/debug/examples
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT

# Starts a server, and waits until it listens.
start() {
    local port=$1
    shift
    "$@" &
    servers+=($!)
    for _ in $(seq 100); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.1
    done
    echo "expected $1 to listen on $port" >&2
    exit 1
}

"$at/chunks"
"$at/pieces"
start 9001 "$at/echo"
"$at/round_trip" 127.0.0.1:9001
start 9002 "$at/proxy" 127.0.0.1:9002 127.0.0.1:9001
"$at/round_trip" 127.0.0.1:9002
kill "${servers[@]}"
wait "${servers[@]}" 2>/dev/null || true
servers=()
start 9001 "$at/echo_tokio"
"$at/round_trip" 127.0.0.1:9001
start 9003 "$at/hyper" 127.0.0.1:9003
"$at/round_trip" 127.0.0.1:9003 /ws
start 9004 "$at/engine_mio" 127.0.0.1:9004
"$at/round_trip" 127.0.0.1:9004
start 9005 "$at/engine_polling" 127.0.0.1:9005
"$at/round_trip" 127.0.0.1:9005
echo "all examples have done what they say"
