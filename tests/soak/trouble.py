"""Everybody whom a chat server could do without, until standard input ends.

    python trouble.py PORT

Garbage, broken frames, slow requests, floods, slow readers of busy rooms, and people who come and go in every way there
is. At the end a line of JSON: how often each did its worst. None of them may see the server refuse a connection.
"""

import asyncio
import json
import logging
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from harness import frame, upgrade  # noqa: E402

PORT = int(sys.argv[1])
COUNTS = {}
ROOMS, NAMES = 100, 500  # that come and go
BUSY = 4  # rooms with people in them


async def dial(receive_buffer=None):
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.setblocking(False)
    await asyncio.get_running_loop().sock_connect(stream, ("127.0.0.1", PORT))
    return await asyncio.open_connection(sock=stream, limit=4096)


async def until_closed(reader, within=60):
    """Reads to the end, which must come."""
    async def read():
        while await reader.read(1 << 16):
            pass
    try:
        await asyncio.wait_for(read(), within)
    except ConnectionError:
        pass


def rst(writer):
    if writer.transport.is_closing():  # killed already
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def enter(name, receive_buffer=None, room=None):
    reader, writer = await dial(receive_buffer)
    writer.write(upgrade(f"/ws?user={name}"))
    await reader.readuntil(b"\r\n\r\n")
    if room:
        writer.write(frame(json.dumps({"type": "join", "room_id": room})))
    return reader, writer


async def garbage():
    reader, writer = await dial()
    writer.write(random.randbytes(random.randrange(1, 4000)) + b"\r\n\r\n")
    await until_closed(reader)
    writer.close()


BAD_FRAMES = [b"\x81\x02hi", b"\xc1\x80" + bytes(4), b"\x83\x80" + bytes(4), b"\x09\x81" + bytes(4) + b"x",
              b"\x88\x81" + bytes(4) + b"\x03", frame(struct.pack("!H", 1005), 8), b"\x81\xff" + b"\xff" * 8,
              b"\x81\xfe\x00\x05" + bytes(4) + b"hello", frame(b"\xff\xfe"), frame("x", 0), frame("x", 2),
              frame("x", final=False) + frame("y"), frame("", final=False) + frame("", 0, False) * 1100,
              frame("x" * 70_000), frame(b"x" * 126, 9)]


async def bad_frame():
    reader, writer = await enter("bad")
    writer.write(random.choice(BAD_FRAMES))
    await until_closed(reader)
    writer.close()


async def slow_request():
    reader, writer = await dial()
    ended = asyncio.create_task(until_closed(reader))
    for byte in upgrade("/ws?user=slow") * 3:
        if ended.done():
            break
        writer.write(bytes([byte]))
        await asyncio.wait([ended], timeout=1)
    await ended
    writer.close()


async def flood():
    """As much as goes, until it is sent away."""
    reader, writer = await enter(f"flood-{random.randrange(5)}", room="flood")
    ended = asyncio.create_task(until_closed(reader))
    data = frame(json.dumps({"type": "broadcast", "room_id": "flood", "content": "x" * 100})) * 20
    while not ended.done():
        writer.write(data)
        try:
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0.05)
    await ended
    writer.close()


async def slow_reader():
    """In a busy room, and takes nothing, or a byte now and then."""
    reader, writer = await enter(f"deaf-{random.randrange(20)}", receive_buffer=2304, room=f"room-{random.randrange(BUSY)}")
    stream = writer.transport
    stream.pause_reading()
    takes = random.random() < 0.5
    for _ in range(random.randrange(5, 40)):
        if stream.is_closing():
            break
        # Asks much and takes none of it.
        writer.write(frame(json.dumps({"type": "history", "room_id": "room-0", "limit": 200})))
        await asyncio.sleep(1)
        if takes and not stream.is_closing():
            stream.resume_reading()
            await asyncio.sleep(0)
            stream.pause_reading()
    rst(writer)


async def passer_by():
    """Comes, does some of what can be done, and goes in one of the ways to go."""
    name, room = f"name-{random.randrange(NAMES)}", f"pass-{random.randrange(ROOMS)}"
    reader, writer = await enter(name, room=room)
    for _ in range(random.randrange(6)):
        writer.write(frame(json.dumps(random.choice([
            {"type": "broadcast", "room_id": room, "content": "x" * random.randrange(2000)},
            {"type": "direct", "user_id": f"name-{random.randrange(NAMES)}", "content": "psst"},
            {"type": "typing", "room_id": room, "typing": True},
            {"type": "presence", "user_ids": [f"name-{n}" for n in range(20)], "subscribe": True},
            {"type": "status", "status": "away", "note": "x" * 100},
            {"type": "history", "room_id": room, "limit": 50},
            {"type": "leave", "room_id": room},
            {"type": "join", "room_id": f"pass-{random.randrange(ROOMS)}", "history": 20},
            {"type": "online"}, {"type": "rooms"}]))))
        try:
            await asyncio.wait_for(reader.read(1 << 16), random.random())
        except TimeoutError:
            pass
    match random.randrange(4):
        case 0:
            writer.write(frame(b"\x03\xe8", 8))
            await until_closed(reader)
            writer.close()
        case 1:
            writer.close()
        case 2:
            rst(writer)
        case 3:
            writer.write_eof()
            await until_closed(reader)
            writer.close()


async def visitor():
    """Looks at the page and at what is not there."""
    reader, writer = await dial()
    for _ in range(random.randrange(1, 5)):
        path = random.choice(["/", "/client.js", "/health", "/nothing", "/ws", "/%2e%2e/", "/ws/x"])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * random.randrange(1, 4))
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await until_closed(reader)
    writer.close()


async def keep(doing, pause, stop):
    """One after the other, until it is over."""
    while not stop.is_set():
        try:
            await doing()
        except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # killed with the others, or sent away early
        COUNTS[doing.__name__] = COUNTS.get(doing.__name__, 0) + 1
        await asyncio.sleep(pause * random.random())


async def main():
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a connection is gone is no news here
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    many = {garbage: (4, 0.2), bad_frame: (4, 0.2), slow_request: (10, 1), flood: (3, 2), slow_reader: (8, 1),
            passer_by: (30, 0.5), visitor: (4, 0.5)}
    tasks = [asyncio.create_task(keep(doing, pause, stop)) for doing, (count, pause) in many.items() for _ in range(count)]
    stopped = asyncio.create_task(stop.wait())
    # None of them may end before: if one does, something was not as it must be.
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(COUNTS), flush=True)


asyncio.run(main())
