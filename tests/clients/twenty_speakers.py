"""20 speakers at full speed in one room, in both dialects, while others are cut and come back.

    python twenty_speakers.py PORT [FOLDER_WITH_NODE_WS] [MESSAGES_OF_EACH_SPEAKER]

Speakers, listeners and people whose lines are cut (without Close, amid the noise, again and again, JSON speakers too)
use the `websockets` client; with the folder, one more uses `ws` from npm (listener_ws.mjs). Everybody must have every
message once, in the same order: people of the plain dialect as long as they are there, people of the JSON dialect
through all cuts by `since`, with a dense `seq`. After a cut they stay away until much has been said, so that the holes
are many times as large as a slice. All of them share one process and read slowly: the server needs an `--outbox-bytes`
for that. Speakers that are cut send the messages that they have not seen come back again, with the same `id`."""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PORT = int(sys.argv[1])
NODE = sys.argv[2] if len(sys.argv) > 2 else ""
EACH = int(sys.argv[3]) if len(sys.argv) > 3 else 200
ROOM = "twenty"
SPEAKERS, CUT_SPEAKERS, LISTENERS, CUT_LISTENERS = 20, 5, 5, 5
TOTAL = SPEAKERS * EACH
PAD = "." * 1000  # behind each message
AWAY = TOTAL // 3  # messages that are said while somebody is away, if so many are
WAIT = 60  # seconds until something that must come is given up


latest = 0  # the last seq that anybody has heard
largest = 0  # the largest hole, in messages


async def stay_away(heard):
    """Until so much has been said, or nobody says anything."""
    before = -1
    while latest < heard + AWAY and latest > before:
        before = latest
        await asyncio.sleep(0.5)


def open_socket(path):
    return connect(f"ws://127.0.0.1:{PORT}{path}", proxy=None, compression=None, max_queue=None, ping_interval=None,
                   open_timeout=WAIT)


class Json:
    """A session of the JSON dialect, with what it keeps through cuts."""

    def __init__(self, name, cuts=0, speaks=False):
        self.name, self.heard, self.epoch, self.joined = name, [], None, 0
        self.unseen = [f"{name}:{n}" for n in range(EACH)] if speaks else []
        # After how many messages it is cut.
        self.cuts = sorted(random.sample(range(TOTAL // 10, TOTAL * 9 // 10), cuts), reverse=True)

    async def run(self, ready, start):
        global latest, largest
        while len(self.heard) < TOTAL or self.unseen:
            async with open_socket(f"/ws?user={self.name}") as socket:
                since = {"since": {"epoch": self.epoch, "seq": len(self.heard)}} if self.epoch else {}
                await socket.send(json.dumps({"type": "join", "room_id": ROOM, **since}))
                speaking = None
                try:
                    async for text in socket:
                        message = json.loads(text)
                        kind = message["type"]
                        if kind == "joined":
                            assert message["recovered"] is (self.epoch is not None), f"{self.name}: {text}"
                            assert self.epoch in (None, message["epoch"])
                            if self.epoch is None:
                                assert message["seq"] == 0
                                ready.release()
                            if self.epoch:
                                largest = max(largest, message["seq"] - len(self.heard))
                            self.epoch = message["epoch"]
                            speaking = asyncio.create_task(self.speak(socket, start))
                        elif kind == "broadcast":
                            assert message["seq"] == len(self.heard) + 1, f"{self.name}: {text}"
                            content = message["content"].removesuffix(PAD)
                            assert message["content"] == content + PAD
                            self.heard.append(content)
                            latest = max(latest, message["seq"])
                            if message["sender"] == self.name:
                                self.unseen.remove(content)
                            if self.cuts and len(self.heard) >= self.cuts[-1]:
                                self.cuts.pop()
                                socket.transport.abort()
                                break
                        elif kind == "ack":  # said before the cut, and heard in the replay
                            assert message["dup"] is True, text
                        else:
                            assert kind in ("welcome", "online_users", "user_joined", "user_left"), text
                        if len(self.heard) == TOTAL and not self.unseen:
                            break
                except ConnectionClosed:
                    raise AssertionError(f"{self.name} was closed by the server") from None
                finally:
                    if speaking:
                        speaking.cancel()
            if len(self.heard) < TOTAL:
                await stay_away(len(self.heard))
        return self.heard

    async def speak(self, socket, start):
        await start.wait()
        for content in list(self.unseen):
            try:
                await socket.send(json.dumps({"type": "broadcast", "room_id": ROOM, "content": content + PAD, "id": content}))
            except ConnectionClosed:
                return


async def plain(name, ready, start, speaks):
    heard, inside = [], False
    async with open_socket(f"/ws/{ROOM}?username={name}") as socket:
        async def speak():
            await start.wait()
            for n in range(EACH):
                await socket.send(f"{name}:{n}{PAD}")

        speaking = asyncio.create_task(speak()) if speaks else None
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "online_users" and not inside:
                inside = True
                ready.release()
            if message["type"] == "chat":
                heard.append(message["content"].removesuffix(PAD))
            if len(heard) == TOTAL:
                break
        if speaking:
            await speaking
    return heard


async def node(ready):
    """The listener that uses another client."""
    process = await asyncio.create_subprocess_exec("node", "listener_ws.mjs", str(PORT), ROOM, str(TOTAL), "5", cwd=NODE,
                                                   stdout=asyncio.subprocess.PIPE, limit=1 << 24)
    assert await process.stdout.readline() == b"ready\n", "node did not join"
    ready.release()
    heard = [content.removesuffix(PAD) for content in json.loads(await process.stdout.readline())]
    assert await process.wait() == 0
    return heard


async def main():
    seed = random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    ready, start = asyncio.Semaphore(0), asyncio.Event()
    people = []
    for n in range(SPEAKERS):
        if n % 4 == 3:
            people.append(plain(f"s{n}", ready, start, True))
        else:
            people.append(Json(f"s{n}", 3 if n < CUT_SPEAKERS else 0, True).run(ready, start))
    for n in range(LISTENERS):
        people.append(plain(f"p{n}", ready, start, False))
        people.append(Json(f"l{n}").run(ready, start))
    for n in range(CUT_LISTENERS):
        people.append(Json(f"c{n}", 5).run(ready, start))
    if NODE:
        people.append(node(ready))
    tasks = [asyncio.create_task(person) for person in people]
    joining = asyncio.create_task(wait_for_all(ready, len(tasks)))
    await asyncio.wait([joining, *tasks], return_when=asyncio.FIRST_COMPLETED)
    await joining
    start.set()
    heard = await asyncio.wait_for(asyncio.gather(*tasks), 5 * WAIT)
    expected = {f"s{speaker}:{n}" for speaker in range(SPEAKERS) for n in range(EACH)}
    assert len(heard[0]) == TOTAL and set(heard[0]) == expected, "every message once"
    assert all(other == heard[0] for other in heard), "everybody in the same order"
    for speaker in range(CUT_SPEAKERS, SPEAKERS):
        own = [content for content in heard[0] if content.startswith(f"s{speaker}:")]
        assert own == [f"s{speaker}:{n}" for n in range(EACH)], "each speaker who was not cut in the order spoken"
    cut = (CUT_SPEAKERS - CUT_SPEAKERS // 4) * 3 + (CUT_LISTENERS + bool(NODE)) * 5
    assert largest * len(PAD) > 512 << 10, f"the largest hole was of {largest} messages"
    print(f"ok - {len(tasks)} people have the same {TOTAL} messages of {SPEAKERS} speakers in one order through {cut} cuts "
          f"and holes of up to {largest * len(PAD) >> 10} KiB")
    print("1 passed, 0 failed")


async def wait_for_all(ready, count):
    for _ in range(count):
        await ready.acquire()


asyncio.run(main())
