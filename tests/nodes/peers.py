"""Salon beside Socket.IO 4 with its adapter for Redis streams, and Centrifuge: two nodes of each on a Redis, the same
work in one run.

  python3 peers.py target/release/salon [--rounds 5] [--seconds 4] [--peers A,B] [--loads C,D] [--json FILE]

In each round every peer has its turn, with a Redis, two nodes and members of its own: half of each room is on either
node. Nodes and Redis are on core 0, the members on core 1. The tables have medians of the rounds, and in brackets the
least and the most. Each delivery is checked (order, loss, doubles). Needs redis-server, and Node 20 or newer with npm,
which fetches what package-lock.json in `peers` names. Centrifuge, the library that Centrifugo is made of, needs
Debian's golang-go and golang-github-NAME-dev, with the names centrifugal-centrifuge, centrifugal-protocol,
fzambia-eagle, igm-sockjs-go and mna-redisc. What is not there is left out, and said so.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../faults")

import harness
import load
from harness import Server
from rediss import Redis, free_port

# name: members, rooms, speakers of each room, bytes, and the pace: messages a second, or `saturated`.
LOADS = {
    "one room of 1,000, 10 messages a second": (1000, 1, 10, 128, 10),
    "100 rooms of 10, 300 messages a second": (1000, 100, 1, 128, 300),
    "one room of 1,000, saturated": (1000, 1, 10, 128, "saturated"),
}
WINDOW = 8  # messages of each speaker on the way, saturated
SETTINGS = ["--rate", "off", "--log", "warn", "--max-connections", "19000", "--ping-after", "1h"]


def of_salon(redis):
    nodes = [Server("--store-prefix", "peers", settings=SETTINGS,
                    environment={"SALON_STORE": f"redis://127.0.0.1:{redis.port}"}, before=["taskset", "-c", "0"])
             for _ in range(2)]
    return [(node.process, node.public) for node in nodes]


def by_command(*command):
    """Nodes that are started so, with their own port and that of Redis."""

    def start(redis):
        nodes = []
        for _ in range(2):
            port, (program, *more) = free_port(), command
            words = [word.format(port=port, redis=redis.port) for word in more]
            process = subprocess.Popen(["taskset", "-c", "0", program, *words], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, text=True, env={**os.environ, "NODE_ENV": "production"})
            harness._started.append(process)
            assert process.stdout.readline() == "listening\n", f"{program} does not start"
            nodes.append((process, port))
        return nodes
    return start


SOCKET_IO = ["node", f"{HERE}/peers/socketio.mjs", "{port}", "{redis}"]
CENTRIFUGE = os.path.join(tempfile.gettempdir(), f"salon-peers-{os.getuid()}", "centrifuge")


PEERS = {
    "Salon": (of_salon, load.SALON),
    "Socket.IO": (by_command(*SOCKET_IO), load.SOCKET_IO),
    "Socket.IO, recovery": (by_command(*SOCKET_IO, "recovery"), load.SOCKET_IO),
    "Centrifuge": (by_command(CENTRIFUGE, "{port}", "{redis}"), load.CENTRIFUGE),
}


def missing():
    """Peers that cannot be had here, and why."""
    why = {}
    if shutil.which("npm") is None:
        why["Socket.IO"] = "npm is not installed"
    elif not os.path.isdir(f"{HERE}/peers/node_modules/socket.io"):
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=f"{HERE}/peers", check=True,
                       stdout=sys.stderr)
    source = "/usr/share/gocode"
    if shutil.which("go") is None or not os.path.isdir(f"{source}/src/github.com/centrifugal/centrifuge"):
        why["Centrifuge"] = "Debian's golang-go and its packages are not installed"
    elif not os.path.exists(CENTRIFUGE):
        folder = os.path.dirname(CENTRIFUGE)
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["go", "build", "-o", CENTRIFUGE, "."], cwd=f"{HERE}/peers/centrifuge", check=True, env={
            **os.environ, "GO111MODULE": "off", "GOPATH": source, "GOCACHE": f"{folder}/cache"})
    return why


def measured(start, dialect, how, seconds):
    members, rooms, speakers, size, pace = how
    redis = Redis("--appendonly", "no")
    nodes = []
    try:
        os.sched_setaffinity(redis.process.pid, {0})
        nodes = start(redis)
        pids = [process.pid for process, _ in nodes]
        memory, joining = sum(map(load.resident, pids)), sum(map(load.cpu, pids))
        crowd = load.Crowd([port for _, port in nodes], members, rooms, speakers, size, dialect)
        joining = sum(map(load.cpu, pids)) - joining
        time.sleep(1)
        memory = sum(map(load.resident, pids)) - memory
        run = (lambda: crowd.saturated(WINDOW, seconds)) if pace == "saturated" else \
            (lambda: crowd.paced(pace, seconds))
        run()  # so that compilers have seen it
        crowd.measuring, heard = True, crowd.delivered
        before, was = load.counters(redis), [load.cpu(pid) for pid in (*pids, redis.process.pid)]
        began = time.perf_counter()
        messages = run()
        took = time.perf_counter() - began
        used = [load.cpu(pid) - it for pid, it in zip((*pids, redis.process.pid), was)]
        after = load.counters(redis)
        heard = crowd.delivered - heard
        called = load.calls(before, after)
        crowd.close()
        return {
            "faults": crowd.faults, "messages_s": messages / took, "deliveries_s": heard / took,
            "nodes_us_delivery": sum(used[:2]) / heard * 1e6, "nodes_us_message": sum(used[:2]) / messages * 1e6,
            "redis_us_message": used[2] / messages * 1e6, "p50_ms": load.percentile(crowd.took, 0.5) * 1e3,
            "p99_ms": load.percentile(crowd.took, 0.99) * 1e3, "bytes_member": memory / members,
            "join_us": joining / members * 1e6,
            # The rest is in the script, where there is one.
            "asked_message": called.get("evalsha", sum(called.values())) / messages,
            "commands_message": sum(called.values()) / messages, "commands": called,
            "in_message": (after["in"] - before["in"]) / messages,
            "out_message": (after["out"] - before["out"]) / messages,
        }
    finally:
        for process, _ in nodes:
            process.kill()
            process.wait()
        redis.end()


COLUMNS = [
    ("nodes' CPU, us a delivery", "nodes_us_delivery"), ("us a message", "nodes_us_message"),
    ("Redis' CPU, us a message", "redis_us_message"), ("commands to Redis a message", "asked_message"),
    ("commands in Redis, those of the script too", "commands_message"),
    ("bytes to Redis", "in_message"), ("from Redis", "out_message"), ("p50, ms", "p50_ms"), ("p99, ms", "p99_ms"),
    ("deliveries a second", "deliveries_s"), ("bytes resident a member", "bytes_member"),
    ("a member comes, us", "join_us"),
]


def number(value):
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def table(name, of):
    print(f"\n**{name}**\n\n| | " + " | ".join(of) + " |\n|" + "---|" * (len(of) + 1))
    for title, key in COLUMNS:
        cells = []
        for rounds in of.values():
            values = [one[key] for one in rounds]
            cells.append(f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})")
        print(f"| {title} | " + " | ".join(cells) + " |")
    first = statistics.median(one["nodes_us_delivery"] for one in next(iter(of.values())))
    ratios = [f"{statistics.median(one['nodes_us_delivery'] for one in rounds) / first:.1f}" for rounds in of.values()]
    print("| nodes' CPU a delivery, to the first | " + " | ".join(ratios) + " |")
    print("| lost, doubled, out of order | " + " | ".join(str(sum(one["faults"] for one in it)) for it in of.values())
          + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("salon")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--peers", default="", help="what their names begin with, separated by commas")
    parser.add_argument("--loads", default="", help="parts of their names, separated by commas")
    parser.add_argument("--json", help="a file for the figures of each round")
    asked = parser.parse_args()
    harness.SALON = os.path.realpath(asked.salon)
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not installed")
    peers = {name: of for name, of in PEERS.items() if any(name.startswith(it) for it in asked.peers.split(","))}
    for peer, why in missing().items():
        print(f"left out: {peer}, because {why}", file=sys.stderr)
        peers = {name: of for name, of in peers.items() if not name.startswith(peer)}
    loads = {name: how for name, how in LOADS.items()
             if any(part in name for part in asked.loads.split(","))}
    load.pinned(1)
    results = {name: {peer: [] for peer in peers} for name in loads}
    try:
        for turn in range(asked.rounds):
            for name, how in loads.items():
                for peer in list(peers) if turn % 2 == 0 else list(peers)[::-1]:
                    one = measured(*peers[peer], how, asked.seconds)
                    results[name][peer].append(one)
                    print(f"round {turn + 1}, {name}, {peer}: {one['nodes_us_delivery']:.2f} us a delivery, "
                          f"{one['faults']} faults", file=sys.stderr, flush=True)
    finally:
        harness.end_all()
        if asked.json:
            with open(asked.json, "w") as file:
                json.dump(results, file)
    for name, of in results.items():
        table(name, of)


main()
