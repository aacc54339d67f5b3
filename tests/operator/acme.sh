#!/usr/bin/env bash
# A certificate from a certificate authority (Pebble, that of Let's Encrypt for tests), got and renewed by certbot while
# Salon runs, by the lines of docs/operating.md.
#
#   bash tests/operator/acme.sh [target/debug/salon]
#
# Needs Debian's pebble, certbot, openssl, curl and python3; where one is missing it says `skipped`. Everything is on
# this machine: Pebble finds each name here, by the DNS server that comes with it.
set -euo pipefail
salon=$(realpath "${1:-target/debug/salon}")
here=$(realpath "$(dirname "$0")")
for program in pebble pebble-challtestsrv certbot openssl curl python3; do
    command -v "$program" >/dev/null || { echo "skipped - $program is not installed"; exit 0; }
done
work=$(mktemp -d)
cd "$work"
started=()
end() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap end EXIT
. "$here/checks.sh"

# Ports that nobody has now.
read -r directory managing dns managing_dns plain secure < <(python3 - <<'PYTHON'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(one.getsockname()[1] for one in held))
PYTHON
)
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" 2>/dev/null
cat >pebble.json <<JSON
{"pebble": {"listenAddress": "127.0.0.1:$directory", "managementListenAddress": "127.0.0.1:$managing",
 "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": $plain, "tlsPort": $secure}}
JSON
pebble-challtestsrv -management "127.0.0.1:$managing_dns" -dns01 "127.0.0.1:$dns" -defaultIPv4 127.0.0.1 \
    -defaultIPv6 "" -http01 "" -https01 "" -tlsalpn01 "" >dns.log 2>&1 &
started+=($!)
PEBBLE_VA_NOSLEEP=1 pebble -config pebble.json -dnsserver "127.0.0.1:$dns" >pebble.log 2>&1 &
started+=($!)
curl -s -o /dev/null --retry 50 --retry-delay 1 --retry-connrefused --cacert cert.pem "https://127.0.0.1:$directory/dir"

bot() {
    REQUESTS_CA_BUNDLE=$work/cert.pem certbot "$@" --config-dir "$work/c" --work-dir "$work/w" --logs-dir "$work/l" \
        --server "https://127.0.0.1:$directory/dir" --non-interactive
}
# As docs/operating.md has it, for certbots that do not show it.
thumbprint_of() {
    python3 - "$1" <<'PYTHON'
import base64, hashlib, json, sys
key = json.load(open(sys.argv[1]))
text = json.dumps({n: key[n] for n in ("crv", "e", "kty", "n", "x", "y") if n in key}, separators=(",", ":"))
print(base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("="))
PYTHON
}
serve() {
    env -i "$salon" serve --store memory --admin "unix:$work/admin" --acme-thumbprint "$thumbprint" "$@" 2>>log &
    server=$!
    started+=("$server")
    for _ in {1..100}; do [ -S admin ] && break || sleep 0.1; done
}
serial() { openssl x509 -noout -serial; }
shown() { openssl s_client -connect "127.0.0.1:$secure" -servername chat.example </dev/null 2>/dev/null | serial; }

check "certbot has an account" bot register --agree-tos --register-unsafely-without-email
thumbprint=$(thumbprint_of c/accounts/*/dir/*/private_key.json)

# The first one: Salon has no TLS yet, or is a page without a secret.
serve --listen "127.0.0.1:$plain"
check "a first certificate, through Salon without TLS" \
    bot certonly --manual --preferred-challenges http --manual-auth-hook true -d chat.example
kill "$server" && wait "$server" || true

live=c/live/chat.example
serve --listen off --tls-listen "127.0.0.1:$secure" --tls-cert "$live/fullchain.pem" --tls-key "$live/privkey.pem" \
    --redirect-http "127.0.0.1:$plain"
first=$(shown)
check "a client is shown it" [ "$first" = "$(serial <"$live/fullchain.pem")" ]
check "it is renewed, through the port that sends to TLS" bot renew --force-renewal --no-random-sleep-on-renew \
    --deploy-hook "$salon reload --admin unix:$work/admin"
second=$(shown)
check "a client is shown the renewed one, and Salon was not stopped" \
    [ "$second" = "$(serial <"$live/fullchain.pem")" -a "$second" != "$first" ]
kill "$server" && wait "$server" || true
# Of another account it vouches for nothing.
thumbprint=$(printf 'A%.0s' {1..43})
serve --listen "127.0.0.1:$plain"
check "with the thumbprint of another account there is none" \
    sh -c '! "$@"' sh env REQUESTS_CA_BUNDLE="$work/cert.pem" certbot certonly --manual --preferred-challenges http \
    --manual-auth-hook true -d other.example --config-dir "$work/c" --work-dir "$work/w" --logs-dir "$work/l" \
    --server "https://127.0.0.1:$directory/dir" --non-interactive
exit "$failed"
