"""Both dialects of Salon with the `websockets` client from PyPI.

    python chat_websockets.py PORT

Prints a line for each check and ends with `N passed, M failed`.
"""

import asyncio
import json
import sys

from checks import run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

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
    assert joined == {"type": "user_joined", "content": "py-b4 joined the room", "room": "py-mixed", "username": "py-b4"}, joined
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


async def errors_leave_the_connection():
    alice = await Person.come("py-a5")
    await alice.socket.send("{")
    assert (await alice.hear(type="error"))["code"] == "bad_json"
    for message, code in [
        ({"type": "nonsense"}, "unknown_type"),
        ({"type": "join"}, "bad_request"),
        ({"type": "join", "room_id": ""}, "bad_request"),
        ({"type": "broadcast", "room_id": "py-elsewhere", "content": "x"}, "not_joined"),
        ({"type": "direct", "user_id": "py-a5", "content": "x" * 16385}, "too_large"),
    ]:
        await alice.say(**message, id="e")
        assert (await alice.hear(type="error", id="e"))["code"] == code, message
    await alice.say(type="ping", id="still here")
    assert (await alice.hear(type="pong"))["id"] == "still here"
    await alice.leave()


async def binary_is_closed_with_1003():
    alice = await Person.come("py-a6")
    await alice.socket.send(b"\x00")
    try:
        await asyncio.wait_for(alice.socket.recv(), WAIT)
        raise AssertionError("the connection should have been closed")
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1003, closed.rcvd


async def doors_that_stay_shut():
    for path, status in [("/ws/room", 400), ("/ws/room?username=a,b", 400), ("/nowhere", 404), ("/ws?user=%0a", 400)]:
        try:
            await connect(BASE + path, proxy=None)
            raise AssertionError(f"{path} should not have been opened")
        except InvalidStatus as refused:
            assert refused.response.status_code == status, (path, refused.response.status_code)
    try:
        await connect(f"{BASE}/ws", origin="http://evil.example", proxy=None)
        raise AssertionError("a foreign origin should have been refused")
    except InvalidStatus as refused:
        assert refused.response.status_code == 403


async def pings_are_answered():
    alice = await Person.come("py-a7")
    pong = await alice.socket.ping("are you there")
    await asyncio.wait_for(pong, WAIT)
    await alice.leave()
    assert alice.socket.close_code == 1000


run([welcome_and_join, talk_and_history, direct_and_devices, resume_after_a_cut, both_dialects_meet,
     errors_leave_the_connection, binary_is_closed_with_1003, doors_that_stay_shut, pings_are_answered], within=60)
