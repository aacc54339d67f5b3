"""Healthy people: they talk in rooms, are cut now and then, come back, and must have heard everything once and in
order.

    python people.py PORT GROUP ROOMS SPEAKERS_A_ROOM LISTENERS_A_ROOM ALL_SPEAKERS_A_ROOM

Says `ready` when all have joined, begins at `go` on standard input, and ends at `stop`: each speaker says how many
messages it has said, and everybody waits for that of all speakers of the room, also those of other groups. Then one
line of JSON for each room: the last number, a digest of all messages in order, and how often somebody was cut.
"""

import asyncio
import hashlib
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PORT, GROUP = int(sys.argv[1]), sys.argv[2]
ROOMS, SPEAKERS, LISTENERS, ALL_SPEAKERS = map(int, sys.argv[3:7])
EVERY = 0.25  # seconds between two messages of a speaker
UNSEEN = 10  # a speaker waits when so many of its messages have not come back
CUT_EVERY = 40  # seconds, on average, after which a person's connection breaks
PATIENCE = 60


def open_socket(path):
    return connect(f"ws://127.0.0.1:{PORT}{path}", proxy=None, compression=None, max_queue=None, ping_interval=None,
                   open_timeout=PATIENCE, close_timeout=1)


class Trail:
    """What has been heard of one room: each speaker's messages without a hole, and all of them in a digest."""

    def __init__(self):
        self.counts, self.ended, self.digest = {}, {}, hashlib.blake2b()

    def hear(self, who, sender, content):
        word, _, number = content.partition(":")
        number = int(number)
        if word == "end":
            self.ended[sender] = number
            assert self.counts.get(sender, 0) == number, f"{who} heard {self.counts.get(sender)} of {number} of {sender}"
        else:
            assert number == self.counts.get(sender, 0) + 1, f"{who} after {self.counts.get(sender)} heard {content} of {sender}"
            self.counts[sender] = number
        self.digest.update(f"{sender} {content}\n".encode())

    def is_whole(self):
        return len(self.ended) == ALL_SPEAKERS


class Person:
    """One session of the JSON dialect through all its connections."""

    def __init__(self, room, name, speaks, ready, start, stop):
        self.room, self.name, self.speaks = room, name, speaks
        self.ready, self.start, self.stop = ready, start, stop
        self.trail, self.seq, self.epoch, self.said, self.unseen, self.cuts, self.has_ended = Trail(), 0, None, 0, [], 0, False

    async def run(self):
        while not (self.trail.is_whole() and not self.unseen):
            try:
                async with open_socket(f"/ws?user={self.name}") as socket:
                    since = {"since": {"epoch": self.epoch, "seq": self.seq}} if self.epoch else {}
                    await socket.send(json.dumps({"type": "join", "room_id": self.room, **since}))
                    doing = [asyncio.create_task(self.break_off(socket))]
                    try:
                        await self.hear(socket, doing)
                    finally:
                        for task in doing:
                            task.cancel()
            except (ConnectionClosed, InvalidHandshake, OSError):
                pass
            if not self.trail.is_whole():
                self.cuts += 1
                await asyncio.sleep(random.random())
        return self

    async def hear(self, socket, doing):
        async for text in socket:
            message = json.loads(text)
            kind = message["type"]
            if kind == "joined":
                assert message["recovered"] is (self.epoch is not None), f"{self.name} at {self.seq}: {text}"
                if self.epoch is None:
                    assert message["seq"] == 0, text
                    self.ready.release()
                self.epoch = message["epoch"]
                if self.speaks:
                    doing.append(asyncio.create_task(self.speak(socket)))
            elif kind == "broadcast":
                assert message["seq"] == self.seq + 1, f"{self.name} at {self.seq}: {text}"
                self.seq = message["seq"]
                self.trail.hear(self.name, message["sender"], message["content"])
                if message["sender"] == self.name:
                    assert self.unseen.pop(0) == message["content"], text
            elif kind == "ack":
                assert message["dup"] is True, text
            else:
                assert kind in ("welcome", "online_users", "user_joined", "user_left", "goodbye"), text
            if self.trail.is_whole() and not self.unseen:
                return

    async def say(self, socket, content):
        await socket.send(json.dumps({"type": "broadcast", "room_id": self.room, "content": content,
                                      "id": f"{self.name} {content}"}))

    async def speak(self, socket):
        try:
            for content in list(self.unseen):
                await self.say(socket, content)
            await self.start.wait()
            while not self.stop.is_set():
                if len(self.unseen) < UNSEEN:
                    self.said += 1
                    self.unseen.append(f"n:{self.said}")
                    await self.say(socket, self.unseen[-1])
                await asyncio.sleep(EVERY * (0.5 + random.random()))
            if not self.has_ended:
                self.has_ended = True
                self.unseen.append(f"end:{self.said}")
                await self.say(socket, self.unseen[-1])
        except ConnectionClosed:
            pass

    async def break_off(self, socket):
        await asyncio.sleep(random.expovariate(1 / CUT_EVERY))
        socket.transport.abort()


class Plain:
    """A session of the plain dialect: nothing is missing as long as its connection lasts."""

    def __init__(self, room, name, ready, stop):
        self.room, self.name, self.ready, self.stop, self.heard, self.cuts = room, name, ready, stop, 0, 0

    async def run(self):
        told = False
        while not self.stop.is_set():
            counts = {}
            try:
                async with open_socket(f"/ws/{self.room}?username={self.name}") as socket:
                    stopping = asyncio.create_task(self.leave(socket))
                    async for text in socket:
                        message = json.loads(text)
                        if message["type"] == "online_users" and not told:
                            told = True
                            self.ready.release()
                        if message["type"] == "chat":
                            word, _, number = message["content"].partition(":")
                            sender, number = message["username"], int(number)
                            expected = counts.get(sender, number - 1) + (word == "n")
                            assert word == "end" or number == expected, f"{self.name} expected {expected}: {text}"
                            counts[sender] = number
                            self.heard += 1
                    stopping.cancel()
            except (ConnectionClosed, InvalidHandshake, OSError):
                pass
            self.cuts += 1
        return self

    async def leave(self, socket):
        await self.stop.wait()
        await socket.close()


async def main():
    ready, start, stop = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
    people = []
    for room in range(ROOMS):
        for n in range(SPEAKERS + LISTENERS):
            people.append(Person(f"room-{room}", f"{GROUP}-{room}-{n}", n < SPEAKERS, ready, start, stop))
        people.append(Plain(f"room-{room}", f"{GROUP}-plain-{room}", ready, stop))
    everything = asyncio.gather(*[person.run() for person in people])
    waiting = asyncio.create_task(wait_for_all(ready, len(people)))
    await asyncio.wait([waiting, everything], return_when=asyncio.FIRST_COMPLETED)
    if everything.done():
        everything.result()
    print("ready", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    reading = asyncio.create_task(control(lines, start, stop))
    try:
        await everything
    finally:
        reading.cancel()
    for room in range(ROOMS):
        here = [person for person in people if person.room == f"room-{room}"]
        told = [person for person in here if isinstance(person, Person)]
        assert len({(person.seq, person.trail.digest.hexdigest()) for person in told}) == 1, "all have heard the same"
        print(json.dumps({"room": room, "seq": told[0].seq, "digest": told[0].trail.digest.hexdigest(),
                          "said": sum(told[0].trail.counts.values()), "heard": sum(person.seq for person in told),
                          "plain": sum(person.heard for person in here if isinstance(person, Plain)),
                          "cuts": sum(person.cuts for person in here)}), flush=True)


async def control(lines, start, stop):
    while line := await lines.readline():
        {b"go\n": start, b"stop\n": stop}[line].set()


async def wait_for_all(ready, count):
    for _ in range(count):
        await ready.acquire()


asyncio.run(main())
