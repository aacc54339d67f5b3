"""A checker of histories: people on three nodes talk while clients, nodes and Redis are cut, and each writes down what it
was told.

    PYTHONPATH=../faults python3 histories.py SALON [--minutes M] [--seed N] [--clients N]

At the end: one message has one number and one number one message, for everybody everywhere; nobody has heard a hole
that was not named, or anything twice; every message that was acknowledged is in the history, once. Redis keeps what it
has acknowledged in its file (`appendfsync always`), so that no fault here may lose any of it.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time
import traceback

import harness
from harness import Client, Closed, Server, frame
from rediss import Redis, free_port

ROOMS = [f"room{n}" for n in range(4)]
NODES = 3
FAULTS = []


class Wrong(Exception):
    """What must not be."""


class Person:
    """A client that talks, is cut, and comes back to any node where it was."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.random = random.Random(f"{world.seed} {number}")
        self.name = f"user{number % 20}"
        self.rooms = self.random.sample(ROOMS, 2)
        self.at = {}  # epoch and number up to which a room was heard; the number is None where any may be next
        self.heard = []  # room, epoch, number, content
        self.acked = {}  # number of each room and content
        self.said = 0
        self.owed = None  # room and content that is not acknowledged
        self.cuts = self.gaps = 0
        self.client = None

    def run(self):
        cut_at = 0
        while not (self.world.over and self.owed is None):
            if self.world.done.is_set():
                raise Wrong(f"{self.name} was never told what became of {self.owed}")
            try:
                if self.client is None:
                    self.come()
                    cut_at = time.monotonic() + self.random.uniform(1, 20)
                self.talk()
                self.listen(0.05)
                if time.monotonic() > cut_at and not self.world.over:
                    self.cuts += 1
                    self.leave()
            except (OSError, Closed, AssertionError) as error:
                if isinstance(error, AssertionError) and "101" not in str(error) and "HTTP" not in str(error):
                    raise
                self.leave()
                time.sleep(0.1)

    def leave(self):
        if self.client:
            self.client.stream.close()
        self.client = None

    def come(self):
        server = self.random.choice(self.world.nodes)
        if server is None:
            raise OSError("the node is away")
        client = Client.__new__(Client)
        client.__init__(server, self.name)
        self.client, self.asked_at = client, 0
        for room in self.rooms:
            since = self.at.get(room)
            more = {"since": {"epoch": since[0], "seq": since[1]}} if since and since[1] is not None else {}
            self.say(type="join", room_id=room, id=f"join {room}", **more)
        self.joined = set()

    def say(self, **message):
        self.client.stream.settimeout(5)
        self.client.send(frame(json.dumps(message)))

    def talk(self):
        if self.owed is None and not self.world.over and self.random.random() < 0.3:
            self.said += 1
            self.owed, self.asked_at = (self.random.choice(self.rooms), f"{self.number}-{self.said}"), 0
        if self.owed and self.owed[0] in self.joined and time.monotonic() > self.asked_at:
            room, content = self.owed
            # Again with the same `id`, until it is known what became of it.
            self.say(type="broadcast", room_id=room, content=content, id=content)
            self.asked_at = time.monotonic() + 3

    def listen(self, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.client.stream.settimeout(max(left, 0.001))
            try:
                opcode, payload = self.client._frame()
            except (socket.timeout, BlockingIOError):
                return
            if opcode == 9:
                self.client.send(frame(payload, 10))
            elif opcode == 8:
                raise Closed(payload[:2])
            elif opcode == 1:
                self.hear(json.loads(payload))

    def hear(self, message):
        kind, room = message["type"], message.get("room_id")
        if kind == "joined":
            self.joined.add(room)
            before = self.at.get(room)
            if not message["recovered"]:
                first = before is None and "id" in message
                self.at[room] = [message["epoch"], message["seq"] if first else None]
            elif before[0] != message["epoch"]:
                raise Wrong(f"{self.name} is told that it has missed nothing of another life: {message}")
        elif kind == "gap":
            self.gaps += 1
            self.at[room][1] = message["to"]
        elif kind == "broadcast":
            epoch, last = self.at[room]
            seq, content = message["seq"], message["content"]
            if last is not None and seq != last + 1:
                raise Wrong(f"{self.name}/{self.number} heard {seq} of {room} in {epoch} behind {last}: {message}")
            self.at[room][1] = seq
            self.heard.append((room, epoch, seq, content))
            self.acknowledged(message, content)
        elif kind == "ack":
            self.acknowledged(message, message.get("id"))
        elif kind == "error" and message.get("id") == (self.owed or [0, 0])[1]:
            if message["code"] not in ("backend_down", "overloaded", "not_joined"):
                raise Wrong(f"{self.name} heard {message}")
            self.asked_at = time.monotonic() + 0.2
        elif kind == "error" and str(message.get("id", "")).startswith("join "):
            raise OSError(f"cannot join: {message['code']}")

    def acknowledged(self, message, content):
        if self.owed and message.get("id") == self.owed[1] == content:
            self.acked[self.owed] = message["seq"]
            self.owed = None


class World:
    def __init__(self, salon, seed, clients, minutes):
        harness.SALON = salon
        self.seed, self.random = seed, random.Random(seed)
        self.redis = Redis()
        self.ports = [free_port() for _ in range(NODES)]
        self.nodes = [None] * NODES
        for at in range(NODES):
            self.start(at)
        self.over, self.done, self.wrong = False, threading.Event(), []
        self.people = [Person(self, number) for number in range(clients)]
        self.ends = time.monotonic() + 60 * minutes

    def start(self, at):
        environment = {"SALON_STORE": f"redis://127.0.0.1:{self.redis.port}"}
        self.nodes[at] = Server("--history", "100000", "--sessions-per-user", "64", public=self.ports[at],
                                environment=environment)

    def kill_a_node(self):
        at = self.random.randrange(NODES)
        node, self.nodes[at] = self.nodes[at], None
        node.process.kill()
        node.process.wait()
        self.start(at)

    def freeze_a_node(self):
        node = self.random.choice(self.nodes)
        node.stop()
        time.sleep(self.random.uniform(0.5, 3))
        node.go_on()

    def kill_redis(self):
        self.redis.kill()
        time.sleep(self.random.uniform(0, 1))
        self.redis.start()

    def fault(self):
        faults = [self.kill_a_node, self.freeze_a_node, self.kill_redis,
                  lambda: self.redis.freeze(self.random.uniform(0.2, 3)),
                  lambda: self.redis.call("CLIENT", "KILL", "TYPE", "pubsub"),
                  lambda: self.redis.call("CLIENT", "KILL", "TYPE", "normal"),
                  lambda: self.redis.call("SCRIPT", "FLUSH")]
        which = self.random.randrange(len(faults))
        FAULTS.append(which)
        faults[which]()

    def run(self):
        def carry_out(person):
            try:
                person.run()
            except Exception as error:
                self.wrong.append("".join(traceback.format_exception(error)))
                self.over = True

        threads = [threading.Thread(target=carry_out, args=(person,), daemon=True) for person in self.people]
        [thread.start() for thread in threads]
        while time.monotonic() < self.ends and not self.over:
            time.sleep(self.random.uniform(1, 4))
            self.fault()
        time.sleep(3)
        self.over = True
        until = time.monotonic() + 30
        [thread.join(max(0.01, until - time.monotonic())) for thread in threads]
        self.done.set()
        [thread.join(5) for thread in threads]
        assert not self.wrong, "\n".join(self.wrong[:3])

    def judge(self):
        """What everybody wrote down, beside each other and beside the history."""
        told = {}
        for person in self.people:
            for room, epoch, seq, content in person.heard:
                before = told.setdefault((room, epoch, seq), content)
                assert before == content, f"{room} {epoch} {seq} is {before} and {content}"
        kept = {room: self.history(room) for room in ROOMS}
        for room, entries in kept.items():
            contents = list(entries.values())
            assert len(contents) == len(set(contents)), f"something stands twice in {room}"
        lost = [(person.number, what, seq) for person in self.people for what, seq in person.acked.items()
                if kept[what[0]].get(seq) != what[1]]
        assert not lost, f"acknowledged and not in the history, or at another place: {lost[:5]}"
        acked = sum(len(person.acked) for person in self.people)
        heard = sum(len(person.heard) for person in self.people)
        cuts, gaps = (sum(getattr(person, what) for person in self.people) for what in ("cuts", "gaps"))
        epochs = len({(room, epoch) for room, epoch, _ in told})
        return (f"{acked} messages acknowledged, {heard} heard, {cuts} cuts of clients, {len(FAULTS)} other faults, "
                f"{epochs} lives of {len(ROOMS)} rooms, {gaps} gaps named")

    def history(self, room):
        client, found, before = Client(self.nodes[0], "reader"), {}, None
        client.say(type="join", room_id=room, id="j")
        client.hear_type("joined")
        while True:
            client.say(type="history", room_id=room, limit=200, id="h", **({"before": before} if before else {}))
            answer = client.hear_type("history", "error")
            items = answer.get("items")
            if not items:
                assert answer["type"] == "history" or answer["code"] == "history_gone", answer
                return found
            found.update({item["seq"]: item["content"] for item in items})
            before = items[0]["seq"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("salon")
    arguments.add_argument("--minutes", type=float, default=1)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments.add_argument("--clients", type=int, default=60)
    asked = arguments.parse_args()
    world = World(asked.salon, asked.seed, asked.clients, asked.minutes)
    try:
        world.run()
        print(f"ok - histories with seed {asked.seed}: {world.judge()}")
    except Exception as error:
        print(f"not ok - histories with seed {asked.seed}, faults {FAULTS}: {type(error).__name__}: {error}")
        sys.exit(1)
    finally:
        harness.end_all()
        world.redis.end()


main()
