"""What each thing that people do costs Redis and the nodes, with 2 to 1,000 nodes; and what that comes to on paper.

  python3 costs.py target/release/salon [--nodes 2,10,100,1000] [--parts nodes,pages,crowds,reads] [--json FILE]
  python3 costs.py --paper FILE [--people 10000,100000,1000000] [--nodes 10,100,1000]

Two of the nodes are Salons. The others are what Redis sees of a node: a name with a lease and a board, and a
connection that hears its channel and the one of all; so what Redis does for 1,000 nodes is measured, and not reckoned.
What they say themselves (a beat, a change of their board) is sent for them. Each thing is done many times, one after
the other if nothing else is said, and what went on beside it (beats) is taken off. CPU is by the kernel's account of
each thread. Nodes and Redis are on core 0, the rest on core 1.

`--paper` multiplies what was measured (FILE) by what a person does in an hour (DAY), and says what each part takes.
"""

import argparse
import json
import math
import multiprocessing
import os
import select
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../faults")

import harness
import load
from harness import Client, Server, frame, wait_until
from rediss import Redis

PREFIX = "costs"
LONG = 3_600_000  # a lease that outlives the run, in ms
SCRIPT = f"{HERE}/../../src/backend/redis/script.lua"
TEXT = "x" * 128
AT_ONCE = 16


class Line:
    """A connection to Redis that stays."""

    def __init__(self, redis):
        self.redis = redis
        self.stream = socket.create_connection(("127.0.0.1", redis.port))
        self.answers = self.stream.makefile("rb")
        self.run = ""
        with open(SCRIPT) as script:
            self.sha = self.call("SCRIPT", "LOAD", script.read())

    def send(self, *words):
        parts = [str(word).encode() for word in words]
        self.stream.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def call(self, *words):
        self.send(*words)
        return self.redis._answer(self.answers)

    def script(self, node, op, *words):
        return self.scripts([(node, op, *words)])[0]

    def scripts(self, several):
        """The answers to several, which go out together."""
        for node, op, *words in several:
            self.send("EVALSHA", self.sha, 0, PREFIX, self.run, node, op, *words)
        return [self.redis._answer(self.answers) for _ in several]


def listen(port, names, ready):
    """Hears what is said to these nodes, in a process of its own."""
    load.pinned(1)
    poll, streams = select.epoll(), {}
    for name in names:
        stream = socket.create_connection(("127.0.0.1", port))
        for channel in (f"{PREFIX}:news", f"{PREFIX}:to:{name}"):
            stream.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n" % (len(channel), channel.encode()))
        streams[stream.fileno()] = stream
        poll.register(stream.fileno(), select.EPOLLIN)
    ready.set()
    while True:
        for descriptor, _ in poll.poll():
            if not streams[descriptor].recv(1 << 18):
                return


class World:
    def __init__(self, nodes):
        self.redis = Redis("--appendonly", "no", "--maxclients", "4000")
        os.sched_setaffinity(self.redis.process.pid, {0})
        self.one, self.other = self.start(), self.start()
        self.line = Line(self.redis)
        self.pids = {"redis": self.redis.process.pid, "one": self.one.pid, "other": self.other.pid}
        self.names = [f"{n + 1:016x}" for n in range(nodes - 2)]
        self.ears = None
        if self.names:
            ready = multiprocessing.Event()
            self.ears = multiprocessing.Process(target=listen, args=(self.redis.port, self.names, ready), daemon=True)
            self.ears.start()
            ready.wait()
        self.versions = dict.fromkeys(self.names, 1)
        for name in self.names:
            self.line.script(name, "board", 1, 1, LONG)
        self.background = None
        began = time.perf_counter()
        before = self.look()
        time.sleep(6.5)
        self.background = {key: (value - before[key]) / (time.perf_counter() - began)
                           for key, value in self.look().items()}

    def start(self):
        """A Salon."""
        settings = ["--rate", "off", "--log", "warn", "--ping-after", "1h", "--leave-grace", "1s"]
        return Server("--store-prefix", PREFIX, settings=settings, before=["taskset", "-c", "0"],
                      environment={"SALON_STORE": f"redis://127.0.0.1:{self.redis.port}"})

    def end(self):
        harness.end_all()
        if self.ears:
            self.ears.terminate()
            self.ears.join()
        self.redis.end()

    def look(self):
        told = load.counters(self.redis)
        commands = told["commands"]
        at = {name: load.cpu(pid) * 1e6 for name, pid in self.pids.items()}
        at["sent"] = commands.get("evalsha", (0, 0))[0]
        at["commands"] = sum(n for name, (n, _) in commands.items() if name not in ("info", "ping", "script|load"))
        at["told"] = commands.get("publish", (0, 0))[0]
        at["in"], at["out"] = told["in"], told["out"]
        return at

    def settle(self):
        """Until Redis sends nothing more."""
        was = -1
        while True:
            now = load.counters(self.redis)["out"]
            # What is asked here is sent too.
            if was >= 0 and now - was < 20_000:
                return
            was = now
            time.sleep(0.05)

    def cost(self, times, act):
        """Of one of so many, which this does."""
        self.settle()
        began, before = time.perf_counter(), self.look()
        act()
        self.settle()
        after, took = self.look(), time.perf_counter() - began
        of = {key: (value - before[key] - self.background[key] * took) / times for key, value in after.items()}
        return {key: max(0.0, value) for key, value in of.items()}


def everything(world, nodes):
    costs = {}
    line, one, other = world.line, world.one, world.other
    times = 400 if nodes < 1000 else 200

    def note(name, times, act):
        costs[name] = world.cost(times, act)
        it = costs[name]
        print(f"| {nodes} | {name} | {it['sent']:.1f} | {it['commands']:.1f} | {it['told']:.1f} | {it['in']:,.0f} | "
              f"{it['out']:,.0f} | {it['redis']:,.0f} | {it['one']:,.0f} | {it['other']:,.0f} |", flush=True)

    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    line.run = line.call("HGET", f"{PREFIX}:m:r:den", "r") or ""
    for name in world.names:
        line.call("SADD", f"{PREFIX}:u:r:den", name)

    def say(speaker, room, at_once=1):
        word = frame(json.dumps({"type": "broadcast", "room_id": room, "content": TEXT}))
        speaker.send(word * at_once)

    def messages(speaker, listener, times, at_once=1):
        for _ in range(times // at_once):
            say(speaker, speaker.room, at_once)
            for who in {speaker, listener}:
                for _ in range(at_once):
                    who.hear_type("broadcast")

    messages(ann, bob, 200)  # so that all has run once
    note("a message, a member on every node", times, lambda: messages(ann, bob, times))
    note(f"a message, a member on every node, {AT_ONCE} at once", 4 * times,
         lambda: messages(ann, bob, 4 * times, AT_ONCE))
    cat = Client(one, "cat", room="nook")
    messages(cat, cat, 50)
    note("a message, members on one node", times, lambda: messages(cat, cat, times))

    def directs():
        for _ in range(times):
            ann.say(type="direct", user_id="bob", content=TEXT)
            bob.hear_type("direct")
            ann.hear_type("direct")

    directs()
    note("a direct message", times, directs)

    def marks():
        for n in range(times):
            bob.say(type="read", id=n, room_id="den", seq=n + 1)
            bob.hear_type("ack")

    note("a read mark", times, marks)

    def moves(name):
        for n in range(times):
            room = name.format(n)
            cat.say(type="join", id="j", room_id=room)
            cat.hear_type("joined")
            cat.say(type="leave", id="l", room_id=room)
            cat.hear_type("left")

    eve = Client(other, "eve", room="hall")
    note("into a room and out of it", times, lambda: moves("hall"))
    note("into a new room and out of it", times, lambda: moves("new-{}"))
    eve.stream.close()

    here = one.metrics()["salon_users"]

    def visits():
        for n in range(times):
            Client(one, f"guest{nodes}-{n}").stream.close()
        wait_until(lambda: one.metrics()["salon_users"] <= here, "they have gone")

    note("a person comes and goes, in no room", times, visits)
    fake = world.names[0] if world.names else "00000000000000ff"
    line.script(fake, "board", 1, 1, LONG)
    version = 1

    def alone_and_at_once(name, op, *words):
        note(name, times // 4, lambda: [line.script(fake, op, *words) for _ in range(times // 4)])
        note(f"{name}, {AT_ONCE} at once", 2 * times, lambda: [
            line.scripts([(fake, op, *words)] * AT_ONCE) for _ in range(2 * times // AT_ONCE)])

    alone_and_at_once("a beat", "beat", LONG)

    def post(lines):
        nonlocal version
        version += 1
        return fake, "post", version, LONG, *lines

    alone_and_at_once("a word to a room (typing), a member on every node", "tell", "r", "den", "?")
    how = line.call("HGET", f"{PREFIX}:w:" + name_of(line), "u:ann")
    change = lambda n: post([f"u:one{n}", "+" + how])
    note("a change of a board", times, lambda: [line.script(*change(n)) for n in range(times)])
    note(f"a change of a board, {AT_ONCE} at once", 2 * times, lambda: [
        line.scripts([change(f"{n}-{k}") for k in range(AT_ONCE)]) for n in range(2 * times // AT_ONCE)])
    many = lambda n: [word for k in range(256) for word in (f"u:many{n}-{k}", "+" + how)]
    note("256 changes of a board in one", 20, lambda: [line.script(*post(many(n))) for n in range(20)])
    for n in range(1024):
        line.call("HSET", f"{PREFIX}:m:r:h{n}", "e", "00000000000000aa", "n", 5, "r", line.run)
    heads = [word for n in range(1024) for word in (f"r:h{n}", "00000000000000aa", 5)]
    note("1,024 rooms looked at for what was missed", 20,
         lambda: [line.script(fake, "heads", "00000000000000bb", *heads) for _ in range(20)])
    costs["beside"] = world.background
    for client in (ann, bob, cat):
        client.stream.close()
    return costs


def name_of(line):
    """The node that ann is on."""
    for node in line.call("SMEMBERS", f"{PREFIX}:nodes"):
        if line.call("HEXISTS", f"{PREFIX}:w:{node}", "u:ann"):
            return node
    raise AssertionError("ann is on no node")


def pages(world):
    """History, which does not know how many nodes there are; and what people on other nodes take."""
    costs, rooms, kept = {}, 10, 1008
    ann = Client(world.one, "ann", room="hall")
    ann.broadcast(TEXT)
    while (size := len(ann._frame()[1])) < len(TEXT):
        pass
    world.settle()
    held = load.counters(world.redis)["memory"]
    for n in range(rooms):
        ann.join(f"old{n}")
        word = frame(json.dumps({"type": "broadcast", "room_id": f"old{n}", "content": TEXT}))
        for _ in range(kept // AT_ONCE):
            ann.send(word * AT_ONCE)
            for _ in range(AT_ONCE):
                ann.hear_type("broadcast")

    world.settle()
    costs["bytes"] = {"delivery": size, "entry": (load.counters(world.redis)["memory"] - held) / rooms / 1000}
    bob = Client(world.other, "bob")

    def enter_as(client):
        for n in range(rooms):
            client.say(type="join", id="j", room_id=f"old{n}", history=50)
            joined = client.hear_type("joined")
            client.seq = joined["seq"] - 50
            client.hear_until(joined["seq"])

    def back(client, before):
        for n in range(rooms):
            client.say(type="history", id="h", room_id=f"old{n}", limit=50, before=before)
            client.hear_type("history")

    def note(name, times, act):
        costs[name] = it = world.cost(times, act)
        print(f"| 2 | {name} | {it['sent']:.1f} | {it['commands']:.1f} | {it['told']:.1f} | {it['in']:,.0f} | "
              f"{it['out']:,.0f} | {it['redis']:,.0f} | {it['one']:,.0f} | {it['other']:,.0f} |", flush=True)

    note("into a room with the last 50 messages, the first of a node", rooms, lambda: enter_as(bob))
    note("into such a room, the second of a node", rooms, lambda: enter_as(Client(world.other, "cat")))
    note("a page of 50 further back, the first of a node", rooms, lambda: back(bob, 900))
    note("such a page, the second of a node", rooms, lambda: back(bob, 800))
    print(f"\nA message of {len(TEXT)} bytes is {size} bytes to each member; kept it takes "
          f"{costs['bytes']['entry']:.0f} bytes of Redis.")
    return costs


def crowds(world):
    """What people on other nodes take of a node and of Redis: bytes."""
    line, fake = world.line, "00000000000000ee"
    line.script(fake, "board", 1, 1, LONG)
    Client(world.one, "ann")
    how = line.call("HGET", f"{PREFIX}:w:" + name_of(line), "u:ann")
    people, at_once, version, found = 100_000, 250, 1, {}
    # The rooms are there: of others a node takes no notice.
    openers = [Client(world.one, f"opener-{n}") for n in range(10)]
    for n in range(1000):
        openers[n % 10].say(type="join", id="j", room_id=f"room-{n:04}")
        openers[n % 10].hear_type("joined")
    for kind, name in (("a person", "u:person-{0:06}"), ("a person in a room", "v:room-{1:04}\0person-{0:06}")):
        world.settle()
        resident, held = load.resident(world.other.pid), load.counters(world.redis)["memory"]
        for first in range(0, people, at_once):
            version += 1
            lines = [word for n in range(first, first + at_once) for word in (name.format(n, n % 1000), "+" + how)]
            line.script(fake, "post", version, LONG, *lines)
            time.sleep(0.01)  # a node that cannot follow reads the board anew, which costs more
        world.settle()
        wait_until(lambda: idle(world.other.pid), "the node has heard it")
        found[kind] = {"node": (load.resident(world.other.pid) - resident) / people,
                       "redis": (load.counters(world.redis)["memory"] - held) / people}
        print(f"| {kind} on another node | {found[kind]['node']:,.0f} | {found[kind]['redis']:,.0f} |", flush=True)
    before = world.look()
    third = world.start()
    wait_until(lambda: third.metrics()["salon_users"] >= people, "the node that has come knows all")
    after = world.look()
    found["a node comes"] = {"redis": (after["redis"] - before["redis"]) / people / 2,
                             "out": (after["out"] - before["out"]) / people / 2,
                             "node": load.cpu(third.pid) * 1e6 / people / 2}
    print("\nA node that comes reads all boards: of each line {out:.0f} bytes, {redis:.1f} us of Redis' CPU and "
          "{node:.1f} of its own.".format(**found["a node comes"]))
    return found


def reads(world):
    """How often a node reads a whole board anew, because the word of a change has not come by the next beat."""
    line, fake, lines, seconds, found = world.line, "00000000000000ee", 10_000, 30, {}
    line.script(fake, "board", 1, 1, LONG)
    ann = Client(world.one, "ann")
    how = line.call("HGET", f"{PREFIX}:w:" + name_of(line), "u:ann")
    version = 1
    for first in range(0, lines, 250):
        version += 1
        more = [word for n in range(first, first + 250) for word in (f"u:person-{n:06}", "+" + how)]
        line.script(fake, "post", version, LONG, *more)
    world.settle()
    wait_until(lambda: idle(world.other.pid), "the node has heard it")
    for rate in (10, 100, 1000):
        before = world.look()
        scans = load.counters(world.redis)["commands"].get("hscan", (0, 0))[0]
        began = time.perf_counter()
        for n in range(rate * seconds):
            wait = began + n / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            version += 1
            line.script(fake, "post", version, LONG, "u:one", "+" + how if n % 2 else "-")
        took = time.perf_counter() - began
        scans = load.counters(world.redis)["commands"].get("hscan", (0, 0))[0] - scans
        # A call of HSCAN answers with some 1,000 lines; both Salons beat every 3 s.
        share = min(1, scans / (lines / 1000) / (2 * took / 3))
        out = (world.look()["out"] - before["out"]) / took
        found[str(rate)] = {"share": share, "out": out}
        print(f"| {rate:,} | {share:.0%} | {out:,.0f} |", flush=True)
    ann.stream.close()
    return found


def idle(pid):
    ran = load.cpu(pid)
    time.sleep(0.3)
    return load.cpu(pid) - ran < 0.03


# What a person does in an hour, who is in ROOMS rooms in which SIZE people are online.
ROOMS, SIZE = 3, 100
DAY = {"says something in a room": 12, "says something to one person": 2, "reads": 12, "types": 24,
       "comes into a room and leaves it": 3, "comes and goes": 1}
FULL = 0.7  # of a core: so much of it is left free for what is uneven
MOST_LINES = 1 << 20  # people, and people in rooms, that a node knows on others


def parts(found, nodes, people):
    """Of each part, what it takes of Redis' core in a second, and the bytes that Redis sends for it."""
    here, least = found["nodes"][str(nodes)], found["nodes"]["2"]
    busy = f", {AT_ONCE} at once"
    # Of so many nodes, those that have somebody of a room, if people are anywhere.
    follow = nodes * (1 - (1 - 1 / nodes) ** SIZE)

    def to_followers(name, what):
        low, high = least[name][what], here[name][what]
        return low + (high - low) * (follow - 2) / max(1, nodes - 2) if nodes > 2 else low

    def change(what):
        return here["a change of a board" + busy][what]

    def moved(name, what, changes):
        """Measured with two nodes one after the other, with changes of boards as they cost here when busy."""
        alone = least["a change of a board"][what]
        return max(0, least[name][what] - changes * alone) + changes * change(what)

    rooms = people * ROOMS / SIZE
    # Boards that are read anew at a beat, as many as there were with 1,000 changes a second.
    late = -math.log(1 - min(0.99, found["reads"]["1000"]["share"])) / 1000
    changes = 2 * people * (DAY["comes into a room and leaves it"] + DAY["comes and goes"]) / 3600
    anew = (1 - math.exp(-changes / nodes * late)) * people * (1 + ROOMS) * (nodes - 1) / 3
    looks = rooms * follow / 1024 / 3
    hour = {name: people * times / 3600 for name, times in DAY.items()}
    of = {}
    for what in ("redis", "out"):
        of[what] = {
            "messages in rooms": hour["says something in a room"] * to_followers(
                "a message, a member on every node" + busy, what),
            "direct messages": hour["says something to one person"] * here["a direct message"][what],
            "read marks": hour["reads"] * here["a read mark"][what],
            "typing": hour["types"] * to_followers("a word to a room (typing), a member on every node" + busy, what),
            "who is in which room": hour["comes into a room and leaves it"] * moved(
                "into a room and out of it", what, 2),
            "pages and unread counts of those who come": hour["comes into a room and leaves it"] * (
                found["pages"]["into such a room, the second of a node"][what]
                - least["into a room and out of it"][what] / 2),
            "who is here": hour["comes and goes"] * moved("a person comes and goes, in no room", what, 2),
            "beats": nodes / 3 * here["a beat" + busy][what],
            "boards read anew": anew * found["crowds"]["a node comes"][what],
            "looking for what was missed": looks * least["1,024 rooms looked at for what was missed"][what],
        }
    said = hour["says something in a room"]
    node = {
        "deliveries a second": said * SIZE / nodes,
        "messages heard": said * follow / nodes,
        "CPU of hearing, us": (said * follow / nodes * here["a message, a member on every node" + busy]["other"]
                               + changes * change("other")),
        "lines": people * (1 + ROOMS),
    }
    return {name: us / 1e6 for name, us in of["redis"].items()}, of["out"], node


def paper(found, asked):
    crowds, size = found["crowds"], found["pages"]["bytes"]
    many = [int(n) for n in (asked.people or "10000,100000,1000000").split(",")]
    for nodes in map(int, (asked.nodes or "10,100,1000").split(",")):
        print(f"\n**{nodes:,} nodes**: share of Redis' one core\n\n| | " + " | ".join(f"{n:,} people" for n in many)
              + " |\n|" + "---|" * (len(many) + 1))
        each = [parts(found, nodes, people) for people in many]
        for name in each[0][0]:
            print(f"| {name} | " + " | ".join(f"{100 * cores[name]:,.1f} %" for cores, _, _ in each) + " |")
        print("| **all** | " + " | ".join(f"**{100 * sum(cores.values()):,.0f} %**" for cores, _, _ in each) + " |")
        rows = {"Redis sends, Mbit/s": [f"{sum(out.values()) * 8 / 1e6:,.0f}" for _, out, _ in each],
                "deliveries a second and node": [f"{node['deliveries a second']:,.0f}" for _, _, node in each],
                "a node's core, of what it hears":
                    [f"{node['CPU of hearing, us'] / 1e4:,.1f} %" for _, _, node in each]}
        for name, cells in rows.items():
            print(f"| {name} | " + " | ".join(cells) + " |")
        low, high = 0, 1 << 30
        while high - low > 100:
            people = (low + high) // 2
            full = sum(parts(found, nodes, people)[0].values()) > FULL
            low, high = (low, people) if full else (people, high)
        cores = parts(found, nodes, max(low, 1))[0]
        first = max(cores, key=cores.get)
        print(f"\nRedis has {FULL:.0%} of a core to do with {low:,} people; most of it is {first} "
              f"({cores[first] / sum(cores.values()):.0%})." if low > 100 else
              f"\nRedis has more than {FULL:.0%} of a core to do without anybody: {first}.")
    print("\n| people | lines of boards | of those a node knows | bytes of a node for them | of Redis "
          "| of Redis, history |\n|---|---|---|---|---|---|")
    for people in many:
        lines = people * (1 + ROOMS)
        node, redis = ((crowds["a person"][it] + ROOMS * crowds["a person in a room"][it]) * people
                       for it in ("node", "redis"))
        kept = people * ROOMS / SIZE * 1000 * size["entry"]
        print(f"| {people:,} | {lines:,} | {min(1, MOST_LINES / lines):.0%} | "
              f"{node * min(1, MOST_LINES / lines) / 1e6:,.0f} MB | {redis / 1e6:,.0f} MB | {kept / 1e6:,.0f} MB |")


HEADS = ("| nodes | | sent to Redis | commands in it | publications | bytes in | bytes out | Redis' CPU, us | "
         "the node's, us | another's, us |\n|---|---|---|---|---|---|---|---|---|---|")


def measure(asked):
    harness.SALON = os.path.realpath(asked.salon)
    load.pinned(1)
    found = {}
    if asked.json and os.path.exists(asked.json):
        with open(asked.json) as file:
            found = json.load(file)
    wanted = asked.parts.split(",")

    def in_a_world(nodes, part):
        world = World(nodes)
        try:
            return part(world)
        finally:
            world.end()

    if "nodes" in wanted:
        print(HEADS, flush=True)
        for nodes in map(int, (asked.nodes or "2,10,100,1000").split(",")):
            found.setdefault("nodes", {})[str(nodes)] = in_a_world(nodes, lambda world: everything(world, nodes))
    for part in (pages, crowds, reads):
        if part.__name__ in wanted:
            print(TITLES[part.__name__], flush=True)
            found[part.__name__] = in_a_world(2, part)
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump(found, file, indent=1)


TITLES = {
    "pages": "\n" + HEADS,
    "crowds": "\n| | bytes of a node | bytes of Redis |\n|---|---|---|",
    "reads": "\n| changes of a board of 10,000 lines a second | beats at which a node reads all of it | bytes that "
             "Redis sends a second |\n|---|---|---|",
}

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salon", nargs="?")
    parser.add_argument("--nodes", default="")
    parser.add_argument("--json", help="a file for what is measured; what is there of other parts stays")
    parser.add_argument("--parts", default="nodes,pages,crowds,reads")
    parser.add_argument("--paper", metavar="FILE")
    parser.add_argument("--people", default="")
    asked = parser.parse_args()
    if asked.paper:
        with open(asked.paper) as file:
            paper(json.load(file), asked)
    elif asked.salon:
        measure(asked)
    else:
        sys.exit("name the binary, or --paper FILE")


if __name__ == "__main__":
    main()
