"""Behind nginx, with the lines that docs/operating.md gives for it: the `websockets` client in front, Salon on a Unix
socket behind.

    python nginx.py SALON OPERATING

Starts both in a temporary folder, on loopback, and ends them. Of the lines only the path of the socket is changed.
Without nginx it says that it is skipped. Salon lets an address in once at a time, so each check has addresses of its
own.
"""

import asyncio
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from checks import run
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

WAIT = 10  # seconds until something that must come is given up
SOCKET = "/run/salon/salon.sock"  # what docs/operating.md calls it

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%d;
%s
    }
}
"""


def lines_of(readme):
    """The block of docs/operating.md."""
    text = pathlib.Path(readme).read_text()
    _, _, rest = text.partition("```nginx\n")
    block, end, _ = rest.partition("```\n")
    assert end and block.count(SOCKET) == 1, "docs/operating.md has a block of nginx with the path of the socket"
    return block


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(what, is_so):
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def listens(family, address):
    with socket.socket(family) as one:
        return one.connect_ex(address) == 0


async def hear(client, kind):
    while True:
        message = json.loads(await asyncio.wait_for(client.recv(), WAIT))
        if message["type"] == kind:
            return message


def come(name, address, **more):
    """A client of nginx at that address of this machine."""
    return connect(f"ws://127.0.0.1:{port}/ws?user={name}", proxy=None, local_addr=(address, 0), **more)


async def a_message_goes_both_ways():
    async with come("ada", "127.0.0.2") as ada, come("bob", "127.0.0.3") as bob:
        assert ada.response.status_code == bob.response.status_code == 101
        for client in (ada, bob):
            await client.send('{"type":"join","room_id":"den"}')
            await hear(client, "joined")
        for speaker, hearer, content in ((ada, bob, "there"), (bob, ada, "and back")):
            await speaker.send(json.dumps({"type": "broadcast", "room_id": "den", "content": content}))
            while (await hear(hearer, "broadcast"))["content"] != content:
                pass


async def a_page_may_connect_to_the_host_and_port_it_came_from():
    async with come("ada", "127.0.0.4", origin=f"http://127.0.0.1:{port}") as ada:
        await hear(ada, "welcome")
    for origin in ("http://127.0.0.1", "http://elsewhere.example"):
        try:
            async with come("ada", "127.0.0.5", origin=origin):
                raise AssertionError(f"{origin} came in")
        except InvalidStatus as error:
            assert error.response.status_code == 403, error


async def limits_count_by_the_address_that_nginx_names():
    async with come("ada", "127.0.0.6") as ada:
        await hear(ada, "welcome")
        for name, address, headers, word in (
            ("bob", "127.0.0.6", {}, "goodbye"),
            ("eve", "127.0.0.6", {"X-Forwarded-For": "192.0.2.9"}, "goodbye"),  # what a client says of itself
            ("joe", "127.0.0.7", {}, "welcome"),
        ):
            async with come(name, address, additional_headers=headers) as client:
                first = json.loads(await asyncio.wait_for(client.recv(), WAIT))
                assert first["type"] == word, f"{name} from {address} heard {first}"


if __name__ == "__main__":
    salon, readme = sys.argv[1:]
    location = lines_of(readme)
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx:
        print("skipped - behind nginx: there is no nginx on this machine")
        sys.exit(0)
    port = free_port()
    started = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/salon.sock"
        pathlib.Path(folder, "nginx.conf").write_text(CONFIGURATION % (port, location.replace(SOCKET, path)))
        options = ["--listen", f"unix:{path}", "--trusted-proxy", "unix", "--max-connections-per-address", "1"]
        commands = [
            [salon, "serve", *options, "--count-loopback", "--admin", "off", "--log", "warn", "--store", "memory"],
            [nginx, "-p", folder, "-c", "nginx.conf", "-e", "stderr"],
        ]
        try:
            started.extend(subprocess.Popen(command) for command in commands)
            wait_for("Salon listens", lambda: listens(socket.AF_UNIX, path))
            wait_for("nginx listens", lambda: listens(socket.AF_INET, ("127.0.0.1", port)))
            run(
                [
                    a_message_goes_both_ways,
                    a_page_may_connect_to_the_host_and_port_it_came_from,
                    limits_count_by_the_address_that_nginx_names,
                ],
                60,
            )
        finally:
            for process in started:
                process.terminate()
                process.wait()
