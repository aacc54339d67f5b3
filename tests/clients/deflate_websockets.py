"""permessage-deflate with the `websockets` client from PyPI, whose zlib is not ours.

    python deflate_websockets.py CHAT_PORT ADMIN_PORT ECHO_PORT

CHAT_PORT is `salon serve --deflate`. Prints a line for each check and ends with `N passed, M failed`.
"""

import asyncio
import itertools
import json
import random
import sys
import urllib.request

from checks import run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

CHAT, ADMIN, ECHO = (int(port) for port in sys.argv[1:4])
WAIT = 10  # seconds until something that must come is given up
LONG = "a line that is worth compressing, " * 40


def agreed(socket):
    return socket.response.headers.get("Sec-WebSocket-Extensions", "")


def compressed():
    """How many messages the chat has compressed so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=WAIT) as page:
        lines = page.read().decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("salon_messages_compressed_total "))


async def come(name, room, **options):
    socket = await connect(f"ws://127.0.0.1:{CHAT}/ws?user={name}", proxy=None, **options)
    await hear(socket, "welcome")
    await socket.send(json.dumps({"type": "join", "room_id": room}))
    await hear(socket, "joined")
    return socket


async def hear(socket, kind):
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
        if message["type"] == kind:
            return message


async def echo_of_every_agreement():
    rng = random.Random(7692)
    words = [rng.choice(["so", "and", "on", "€", "😀", "\n"]) for _ in range(30_000)]
    messages = ["", "a", "Hello", LONG, " ".join(words), " ".join(words)[:40_000], b"", rng.randbytes(70_000), bytes(300_000)]
    bits = [None, 9, 12, 15]
    for server_reset, client_reset, server_bits, client_bits in itertools.product(
            [False, True], [False, True], bits, [*bits, True]):
        offer = ClientPerMessageDeflateFactory(server_reset, client_reset, server_bits, client_bits)
        async with connect(f"ws://127.0.0.1:{ECHO}/", proxy=None, compression=None, extensions=[offer],
                           max_size=None, ping_interval=None) as socket:
            answer = agreed(socket)
            assert answer.startswith("permessage-deflate; server_no_context_takeover"), answer
            assert ("client_no_context_takeover" in answer) == client_reset, answer
            assert server_bits is None or f"server_max_window_bits={server_bits}" in answer, answer
            for message in messages * 2:
                await socket.send(message)
                assert await asyncio.wait_for(socket.recv(), WAIT) == message
            # In fragments, cut where the size of the pieces happens to fall.
            await socket.send([LONG[at:at + 7] for at in range(0, len(LONG), 7)])
            assert await asyncio.wait_for(socket.recv(), WAIT) == LONG


async def offers_in_order():
    first = ClientPerMessageDeflateFactory(server_max_window_bits=10)
    second = ClientPerMessageDeflateFactory()
    async with connect(f"ws://127.0.0.1:{ECHO}/", proxy=None, compression=None,
                       additional_headers={"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=8"},
                       extensions=[first, second]) as socket:
        assert agreed(socket) == "permessage-deflate; server_no_context_takeover; server_max_window_bits=10", agreed(socket)
        await socket.send(LONG)
        assert await asyncio.wait_for(socket.recv(), WAIT) == LONG


async def one_room_with_and_without():
    alice, bob = await come("z-alice", "z-room"), await come("z-bob", "z-room", compression=None)
    carol = await come("z-carol", "z-room")
    assert agreed(alice) == "permessage-deflate; server_no_context_takeover; client_no_context_takeover", agreed(alice)
    assert agreed(bob) == ""
    before = compressed()
    for n in range(20):
        content = f"{n} {LONG}" if n % 2 == 0 else f"{n}"
        await (alice, bob, carol)[n % 3].send(json.dumps({"type": "broadcast", "room_id": "z-room", "content": content}))
        for socket in (alice, bob, carol):
            heard = await hear(socket, "broadcast")
            assert (heard["content"], heard["seq"]) == (content, n + 1), heard
    # Ten long messages: once for who shares it, and for an author who compresses once more for the copy with an id.
    made = compressed() - before
    assert 10 <= made <= 20, made
    for socket in (alice, bob, carol):
        await socket.close()


async def a_bomb_is_closed_with_1009():
    alice, bob = await come("z-a2", "z-bomb"), await come("z-b2", "z-bomb")
    await alice.send("x" * (32 << 20))
    try:
        while True:
            await asyncio.wait_for(alice.recv(), WAIT)
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1009, closed.rcvd
    await bob.send(json.dumps({"type": "broadcast", "room_id": "z-bomb", "content": LONG}))
    assert (await hear(bob, "broadcast"))["content"] == LONG
    await bob.close()


run([echo_of_every_agreement, offers_in_order, one_room_with_and_without, a_bomb_is_closed_with_1009], within=120)
