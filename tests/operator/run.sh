#!/usr/bin/env bash
# What operators lay beside Salon, judged by the programs that read it: alerts and metrics by promtool (Prometheus), the
# filter by fail2ban.
#
#   bash tests/operator/run.sh [target/debug/salon]
#
# Prints `ok - ...` or `not ok - ...` for each check, and fails if one failed. Where a program is not installed it says
# `skipped`; PROMTOOL and FAIL2BAN_REGEX name others.
set -euo pipefail
salon=$(realpath "${1:-target/debug/salon}")
cd "$(dirname "$0")"
promtool=${PROMTOOL:-promtool}
fail2ban_regex=${FAIL2BAN_REGEX:-fail2ban-regex}
work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
. ./checks.sh

# Has a Salon whose log is of that form refuse three clients of its admin port, two of whom show a wrong key.
serve() {
    printf '0123456789abcdef-of-nobody' >"$work/key"
    env -i "$salon" serve --store memory --listen 127.0.0.1:0 --admin "unix:$work/admin" --admin-key "$work/key" \
        --log info,salon::access::refused=debug --log-format "$1" 2>"$work/$1" &
    server=$!
    for _ in {1..100}; do [ -S "$work/admin" ] && break || sleep 0.1; done
    ask() { curl -s -m 10 --unix-socket "$work/admin" "$@"; }
    ask -o /dev/null -H 'Authorization: Bearer fedcba9876543210-of-nobody' http://localhost/metrics
    ask -o /dev/null http://localhost/metrics
    ask -H "Authorization: Bearer $(cat "$work/key")" http://localhost/metrics >"$work/metrics"
    kill "$server"
    wait "$server"
    server=
    # A Unix socket has no address: what fail2ban is to find is written in its place.
    sed -i 's/address=- /address=192.0.2.7 /; s/"address":"-"/"address":"192.0.2.7"/' "$work/$1"
}

# Whether the filter finds so many clients in that log, or line.
found() {
    [ "$("$fail2ban_regex" --print-no-missed "$2" ../../contrib/fail2ban/salon.conf | grep -c "^Lines: .* $1 matched")" = 1 ]
}

serve text
serve json
if command -v "$promtool" >/dev/null; then
    check "promtool: the alerts can be read" "$promtool" check rules ../../contrib/prometheus/alerts.yml
    check "promtool: each of them tells what it is for, and nothing else" "$promtool" test rules alerts.yml
    check "promtool: nothing of /metrics is odd" sh -c '"$0" check metrics <"$1"' "$promtool" "$work/metrics"
else
    echo "skipped - promtool is not installed (Debian: prometheus)"
fi
if command -v "$fail2ban_regex" >/dev/null; then
    check "fail2ban: a wrong key in a log of text" found 1 "$work/text"
    check "fail2ban: a wrong key in a log of JSON" found 1 "$work/json"
    refused='DEBUG [salon::access::refused] refused address='
    request='method=GET path=/metrics status=401 seconds=0.0 bytes_in=0 bytes_out=200'
    check "fail2ban: a line of the journal" found 1 "host salon[12]: ${refused}192.0.2.1 reason=key_wrong $request"
    check "fail2ban: an address of IPv6" found 1 "2026-11-30T03:04:09.205Z ${refused}2001:db8::1 reason=token_signature"
    check "fail2ban: another reason" found 0 "2026-11-30T03:04:09.205Z ${refused}192.0.2.1 reason=not_found $request"
    check "fail2ban: a reason that goes on" found 0 "2026-11-30T03:04:09.205Z ${refused}192.0.2.1 reason=key_wrongly"
    check "fail2ban: a line that quotes such a one" found 0 \
        "2026-11-30T03:04:09.205Z ${refused}192.0.2.9 reason=not_found path=\"/${refused}192.0.2.1 reason=key_wrong"
else
    echo "skipped - fail2ban is not installed (Debian: fail2ban)"
fi
exit "$failed"
