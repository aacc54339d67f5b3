"""A room of 1,000 members over real sockets with 10 speakers at full speed, in both dialects.

    python room_of_1000.py PORT [MESSAGES_OF_EACH_SPEAKER]

Every member must see every message once, and all in the same order; JSON members a dense rising `seq`.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect

PORT = int(sys.argv[1])
EACH = int(sys.argv[2]) if len(sys.argv) > 2 else 20
MEMBERS, SPEAKERS = 1000, 10
TOTAL = SPEAKERS * EACH


async def member(number, joined, start):
    """Joins, waits for the start, perhaps speaks, and returns the contents heard in order."""
    is_plain = number % 10 == 9  # every tenth speaks the plain dialect
    path = f"/ws/thousand?username=p{number}" if is_plain else f"/ws?user=m{number}"
    async with connect(f"ws://127.0.0.1:{PORT}{path}", proxy=None, compression=None, max_queue=None, ping_interval=None,
                       open_timeout=60) as socket:
        if not is_plain:
            await socket.send('{"type":"join","room_id":"thousand"}')
            while json.loads(await socket.recv())["type"] != "joined":
                pass
        joined.release()
        await start.wait()

        async def speak():
            for n in range(EACH):
                content = f"{number}:{n}"
                await socket.send(content if is_plain else
                                  json.dumps({"type": "broadcast", "room_id": "thousand", "content": content}))

        # Speakers of both dialects: 0, 9, 100, 109, ...
        speaking = asyncio.create_task(speak()) if number % 100 in (0, 9) and number < 500 else None
        heard, seqs = [], []
        while len(heard) < TOTAL:
            message = json.loads(await asyncio.wait_for(socket.recv(), 60))
            if message["type"] == ("chat" if is_plain else "broadcast"):
                heard.append(message["content"])
                seqs.append(message.get("seq"))
        if speaking:
            await speaking
        if not is_plain:
            assert seqs == list(range(1, TOTAL + 1)), f"member {number}: seq is not dense"
        return heard


async def main():
    joined, start = asyncio.Semaphore(0), asyncio.Event()
    tasks = []
    for number in range(MEMBERS):
        tasks.append(asyncio.create_task(member(number, joined, start)))
        if number % 50 == 49:  # the doors need not be stormed here
            for _ in range(50):
                await joined.acquire()
    start.set()
    heard = await asyncio.gather(*tasks)
    expected = sorted(f"{number}:{n}" for number in range(500) if number % 100 in (0, 9) for n in range(EACH))
    assert sorted(heard[0]) == expected, "every message once"
    assert all(other == heard[0] for other in heard), "everybody in the same order"
    for number in range(500):
        if number % 100 in (0, 9):
            own = [content for content in heard[0] if content.startswith(f"{number}:")]
            assert own == [f"{number}:{n}" for n in range(EACH)], "each speaker in the order spoken"
    print(f"ok - {MEMBERS} members each heard {TOTAL} messages of {SPEAKERS} speakers, once and in one order")
    print("1 passed, 0 failed")


asyncio.run(main())
