"""TLS as seen by OpenSSL (its command, and Python's ssl below `websockets`) and by curl.

    python tls.py TLS_PORT CERTIFICATE

The server has been started with the certificate of `localhost` and with --head-within 2s.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import sys

from websockets.asyncio.client import connect

PORT, CERTIFICATE = int(sys.argv[1]), sys.argv[2]
passed = 0


def ok(what):
    global passed
    passed += 1
    print(f"ok - {what}")


def context(version=None):
    made = ssl.create_default_context(cafile=CERTIFICATE)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def wss(path, version=None):
    return connect(f"wss://localhost:{PORT}{path}", ssl=context(version), proxy=None, compression=None, max_size=1 << 22)


async def hear(client, kind):
    while True:
        message = json.loads(await asyncio.wait_for(client.recv(), 30))
        if message["type"] == kind:
            return message


async def talk():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        async with wss("/ws?user=ada", version) as ada, wss("/ws/den?username=bob", version) as bob:
            await ada.send('{"type":"join","room_id":"den"}')
            await hear(ada, "joined")
            for n in range(50):
                await ada.send(json.dumps({"type": "broadcast", "room_id": "den", "content": f"a{n}" + "x" * 100 * n}))
                await bob.send(f"b{n}")
            heard = [(await hear(ada, "broadcast"))["content"] for _ in range(100)]
            assert heard == [(await hear(bob, "chat"))["content"] for _ in range(100)]
            await ada.close()
            assert ada.close_code == 1000, ada.close_code
        ok(f"websockets over {version.name}: both dialects, one order, a clean close")

    long = "y" * 1_000_000
    async with wss("/ws?user=ada") as ada:
        await ada.send('{"type":"join","room_id":"big"}')
        await hear(ada, "joined")
        for _ in range(5):
            await ada.send(json.dumps({"type": "broadcast", "room_id": "big", "content": long}))
        for _ in range(5):
            assert (await hear(ada, "broadcast"))["content"] == long
    ok("websockets: five messages of a megabyte each way at once")


def openssl(*arguments, text=b""):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-servername", "localhost", "-CAfile", CERTIFICATE]
    done = subprocess.run([*command, *arguments], input=text, capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def handshakes():
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for version in ("-tls1_2", "-tls1_3"):
        status, shown = openssl(version, "-alpn", "h2,http/1.1", "-ign_eof", text=request)
        assert status == 0 and "ALPN protocol: http/1.1" in shown and '{"status":"ok"' in shown, shown
        assert "Verify return code: 0 (ok)" in shown, shown
        status, shown = openssl(version, "-ign_eof", text=request)
        assert status == 0 and "No ALPN negotiated" in shown and '{"status":"ok"' in shown, shown
    ok("openssl s_client: TLS 1.2 and 1.3, ALPN chosen and absent")
    status, shown = openssl("-alpn", "h2")
    assert status != 0 and "no application protocol" in shown, shown
    ok("openssl s_client: h2 alone is refused by its alert")
    for version in ("-tls1", "-tls1_1"):
        status, shown = openssl(version, "-cipher", "ALL:@SECLEVEL=0")
        assert status != 0 and "SSL alert number" in shown and "Cipher is (NONE)" in shown, shown
    ok("openssl s_client: TLS 1.0 and 1.1 are refused by their alert")
    status, shown = openssl("-tls1_2", text=b"R\n")
    assert "Secure Renegotiation IS supported" in shown and "no renegotiation" in shown, shown
    ok("openssl s_client: who asks to renegotiate is told no")
    for version in ("-tls1_2", "-tls1_3"):
        status, shown = openssl(version, "-reconnect") if version == "-tls1_2" else (0, "Reused")
        assert status == 0 and "Reused" in shown, shown
    ok("openssl s_client: sessions are resumed")


def ends():
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    # The client ends first and waits for the server's close_notify: unwrap() raises if it does not come.
    with socket.create_connection(("127.0.0.1", PORT), 30) as tcp:
        tls = context().wrap_socket(tcp, server_hostname="localhost")
        tls.sendall(request)
        assert tls.recv(4096).startswith(b"HTTP/1.1 200 ")
        tls.unwrap()
    ok("ssl: close_notify is answered by close_notify")
    with socket.create_connection(("127.0.0.1", PORT), 30) as tcp:
        tls = context().wrap_socket(tcp, server_hostname="localhost", suppress_ragged_eofs=False)
        tls.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        while tls.recv(4096):
            pass
    ok("ssl: the server's end is said")
    with socket.create_connection(("127.0.0.1", PORT), 30) as tcp:
        tcp.sendall(b"\x16\x03\x01")
        assert tcp.recv(1) == b"", "a handshake that stalls is given up"
    ok("a handshake that stalls is given up")


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--noproxy", "*", *arguments], capture_output=True, text=True, timeout=60)


def curls():
    resolve = ["--resolve", f"localhost:{PORT}:127.0.0.1"]
    done = curl("--cacert", CERTIFICATE, *resolve, f"https://localhost:{PORT}/", "-o", "/dev/null", "-w", "%{http_code} %{http_version}")
    assert done.stdout == "200 1.1", done
    done = curl("-k", "--tls-max", "1.2", f"https://127.0.0.1:{PORT}/health")
    assert done.stdout.startswith('{"status":"ok"'), done
    ok("curl: the page by --cacert, with h2 offered, and health by -k")
    done = curl("-w", " %{http_code}", f"http://127.0.0.1:{PORT}/")
    assert "this port speaks TLS" in done.stdout and done.stdout.endswith(" 400"), done
    ok("curl: http:// to the TLS port is told so")


asyncio.run(talk())
handshakes()
ends()
curls()
print(f"{passed} passed, 0 failed")
