"""Both dialects of Salon with the `websockets` client from PyPI.

    python chat_websockets.py PORT

Prints a line for each check and ends with `N passed, M failed`.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

from checks import run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

sys.path.insert(0, str(Path(__file__).parent.parent / "cases"))
import cases

PORT = int(sys.argv[1])
BASE = f"ws://127.0.0.1:{PORT}"
WAIT = 10  # seconds until something that must come is given up


class Person:
    """A session of the JSON dialect that remembers what it heard and was not asked for."""

    def __init__(self, socket):
        self.socket, self.heard = socket, []

    @classmethod
    async def come(cls, name=None, **options):
        query = f"?user={name}" if name else ""
        person = cls(await connect(f"{BASE}/ws{query}", subprotocols=["salon.v1"], proxy=None, **options))
        person.welcome = await person.hear(type="welcome")
        return person

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def hear(self, **wanted):
        """The next message with these fields; what comes before is kept for later."""
        def fits(message):
            return all(message.get(key) == value for key, value in wanted.items())
        for at, message in enumerate(self.heard):
            if fits(message):
                return self.heard.pop(at)
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), WAIT))
            if fits(message):
                return message
            self.heard.append(message)

    async def join(self, room, **more):
        await self.say(type="join", room_id=room, **more)
        return await self.hear(type="joined", room_id=room)

    async def leave(self):
        await self.socket.close()


async def plain(room, name):
    return await connect(f"{BASE}/ws/{room}?username={name}", proxy=None)


async def hear_plain(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), WAIT))


async def welcome_and_join():
    alice = await Person.come("py-alice")
    assert alice.socket.subprotocol == "salon.v1"
    assert alice.welcome["user_id"] == "py-alice" and alice.welcome["limits"]["content_bytes"] == 16384
    joined = await alice.join("py-room", id=1)
    assert (joined["id"], joined["members"], joined["seq"]) == (1, 1, 0), joined
    online = await alice.hear(type="online_users", room_id="py-room")
    assert (online["users"], online["count"]) == (["py-alice"], 1), online
    guest = await Person.come()
    assert guest.welcome["user_id"].startswith("guest-")
    await alice.leave()
    await guest.leave()


async def talk_and_history():
    alice, bob = await Person.come("py-a1"), await Person.come("py-b1")
    await alice.join("py-talk")
    await bob.join("py-talk")
    assert (await alice.hear(type="user_joined"))["user_id"] == "py-b1"
    text = "κόσμε 😀 \"quoted\" <b>not html</b>\n\u2028 end"
    await alice.say(type="broadcast", room_id="py-talk", content=text, id="m-1")
    mine, theirs = await alice.hear(type="broadcast"), await bob.hear(type="broadcast")
    assert mine["id"] == "m-1" and mine["content"] == theirs["content"] == text
    assert (theirs["sender"], theirs["seq"]) == ("py-a1", 1) and theirs["ts"] > 1_600_000_000_000
    for n in range(5):
        await bob.say(type="message", room_id="py-talk", content=f"n{n}")
    assert [(await alice.hear(type="broadcast"))["seq"] for _ in range(5)] == [2, 3, 4, 5, 6]
    await bob.say(type="history", room_id="py-talk", limit=2, id="h")
    page = await bob.hear(type="history", id="h")
    assert [item["content"] for item in page["items"]] == ["n3", "n4"], page
    await bob.say(type="leave", room_id="py-talk", id="bye")
    assert (await bob.hear(type="left"))["id"] == "bye"
    assert (await alice.hear(type="user_left"))["user_id"] == "py-b1"
    await alice.leave()
    await bob.leave()


async def direct_and_devices():
    phone, desk, bob = await Person.come("py-a2"), await Person.come("py-a2"), await Person.come("py-b2")
    await bob.say(type="direct", user_id="py-a2", content="psst", id=7)
    for device in (phone, desk):
        heard = await device.hear(type="direct")
        assert (heard["sender"], heard["user_id"], heard["content"], heard["seq"]) == ("py-b2", "py-a2", "psst", 1)
    assert (await bob.hear(type="direct"))["id"] == 7
    await bob.say(type="direct", user_id="nobody-ever", content="hello?", id=8)
    assert (await bob.hear(type="error", id=8))["code"] == "user_not_found"
    await bob.say(type="multicast", user_ids=["py-a2", "nobody-ever"], content="all", id=9)
    ack = await bob.hear(type="ack", id=9)
    assert ack["delivered"] == ["py-a2"] and ack["unknown"] == ["nobody-ever"], ack
    for person in (phone, desk, bob):
        await person.leave()


async def resume_after_a_cut():
    alice, bob = await Person.come("py-a3"), await Person.come("py-b3")
    await alice.join("py-cut")
    first = await bob.join("py-cut")
    bob.socket.transport.abort()  # no Close: the line is cut
    for n in range(3):
        await alice.say(type="broadcast", room_id="py-cut", content=f"missed {n}")
        await alice.hear(type="broadcast", content=f"missed {n}")
    bob = await Person.come("py-b3")
    again = await bob.join("py-cut", since={"epoch": first["epoch"], "seq": first["seq"]})
    assert again["recovered"] is True and again["seq"] == 3, again
    assert [(await bob.hear(type="broadcast"))["content"] for _ in range(3)] == [f"missed {n}" for n in range(3)]
    await alice.leave()
    await bob.leave()


async def both_dialects_meet():
    alice = await Person.come("py-a4")
    await alice.join("py-mixed")
    bob = await plain("py-mixed", "py-b4")
    joined = await hear_plain(bob)
    words = {"content": "py-b4 joined the room", "room": "py-mixed", "username": "py-b4"}
    assert joined == {"type": "user_joined", **words}, joined
    online = await hear_plain(bob)
    assert online["type"] == "online_users" and set(online["content"].split(",")) == {"py-a4", "py-b4"}, online
    assert online["username"] == ""
    await bob.send('{"type":"not a command"}')
    assert (await hear_plain(bob))["content"] == '{"type":"not a command"}'
    assert (await alice.hear(type="broadcast"))["content"] == '{"type":"not a command"}'
    await alice.say(type="broadcast", room_id="py-mixed", content="hello plain")
    heard = await hear_plain(bob)
    assert heard == {"type": "chat", "content": "hello plain", "room": "py-mixed", "username": "py-a4"}, heard
    await bob.close()
    await alice.leave()


async def neighbour():
    """The user who is beside each row of the shared cases."""
    person = await Person.come("neighbour")
    await person.join("next door")
    return person


def steady(heard):
    """Zeros for what differs from run to run."""
    heard = re.sub(r'"(session_id|epoch)":"[0-9a-f]{16}"', r'"\1":"0000000000000000"', heard)
    return re.sub(r'"(ts|created_at)":[0-9]{13}', r'"\1":0000000000000', heard)


async def ask(row, run, path, opened, last):
    """Sends a row of `requests.json`, and then `last`, whose answer ends with the second of its texts."""
    def named(text):
        return text.replace("USER0000", f"pu{run:06}").replace("ROOM0000", f"pr{run:06}")

    async with connect(BASE + named(path), proxy=None, max_size=None) as socket:
        for _ in range(opened):
            await asyncio.wait_for(socket.recv(), WAIT)
        for said in [*cases.requests(row), last[0]]:
            await socket.send(named(said))
        heard = [steady(await asyncio.wait_for(socket.recv(), WAIT))]
        while not heard[-1].startswith(last[1]):
            heard.append(steady(await asyncio.wait_for(socket.recv(), WAIT)))
    expected = [named(answer) for answer in cases.answers(row)]
    assert heard[:-1] == expected, f"{row['what']}: {heard[:-1]} and not {expected}"


async def requests_that_other_harnesses_send_too():
    beside, run = await neighbour(), 0
    for test, rows in cases.load("requests").items():
        plain_door = test == "the_plain_dialect"
        for row in rows:
            run += 1
            if plain_door:
                last = ("the end", '{"type":"chat","content":"the end"')
                await ask(row, run, "/ws/ROOM0000?username=USER0000", 2, last)
            else:
                await ask(row, run, "/ws?user=USER0000", 1, ('{"type":"ping","id":99}', '{"type":"pong","id":99,'))
    assert run > 100, run
    await beside.leave()


async def names_that_other_harnesses_bring_too():
    for n, row in enumerate(cases.load("names")):
        name = cases.text(row["name"])
        path = f"{BASE}/ws?user={quote(name, safe='')}"
        if "refused" in row:
            assert await refusal(path) == (400, f"user: {row['refused']}"), name
        else:
            async with connect(path, proxy=None) as socket:
                welcome = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
            assert welcome["user_id"] == cases.text(row.get("kept", row["name"])), (name, welcome)


async def refusal(path, **options):
    """Status and sentence of an opening handshake that is refused."""
    try:
        await connect(path, proxy=None, **options)
    except InvalidStatus as refused:
        return refused.response.status_code, json.loads(refused.response.body)["error"]
    raise AssertionError(f"{path} should not have been opened")


async def binary_is_closed_with_1003():
    alice = await Person.come("py-a6")
    await alice.socket.send(b"\x00")
    try:
        await asyncio.wait_for(alice.socket.recv(), WAIT)
        raise AssertionError("the connection should have been closed")
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1003, closed.rcvd


async def doors_at_which_other_harnesses_knock_too():
    for n, row in enumerate(cases.load("doors")):
        path = BASE + cases.text(row["target"]).replace("USER0000", f"py-d{n:03}").replace("ROOM0000", f"py-o{n:03}")
        if "user" in row:
            async with connect(path, proxy=None) as socket:
                welcome = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
            assert welcome["user_id"] == cases.text(row["user"]).replace("USER0000", f"py-d{n:03}"), (row, welcome)
        else:
            status, message = await refusal(path, origin=row.get("origin"))
            expected = cases.text(row.get("message", message))
            assert (status, message) == (row["status"], expected), (row, status, message)


async def close_of(data):
    """Code and reason of the Close that ends a connection which sends these bytes behind its opening handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(HANDSHAKE + data)
    answer = await asyncio.wait_for(reader.read(), WAIT)
    writer.close()
    frames = answer.partition(b"\r\n\r\n")[2]
    while frames[0] != 0x88:
        length, start = (frames[1], 2) if frames[1] < 126 else (int.from_bytes(frames[2:4], "big"), 4)
        frames = frames[start + length:]
    assert len(frames) == 2 + frames[1], frames
    return (int.from_bytes(frames[2:4], "big") if frames[1] else None), frames[4:].decode()


async def frames_that_other_harnesses_send_too():
    for rows in cases.load("frames").values():
        for row in rows:
            closed = await close_of(cases.frames(row))
            assert closed == (row.get("code"), row.get("reason", "")), (row["what"], closed)


HANDSHAKE = (b"GET /ws?user=py-frames HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


async def pings_are_answered():
    alice = await Person.come("py-a7")
    pong = await alice.socket.ping("are you there")
    await asyncio.wait_for(pong, WAIT)
    await alice.leave()
    assert alice.socket.close_code == 1000


run([welcome_and_join, talk_and_history, direct_and_devices, resume_after_a_cut, both_dialects_meet,
     requests_that_other_harnesses_send_too, names_that_other_harnesses_bring_too, binary_is_closed_with_1003,
     doors_at_which_other_harnesses_knock_too, frames_that_other_harnesses_send_too, pings_are_answered], within=60)
