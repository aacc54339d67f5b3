"""What a second node costs: latency of a delivery, messages a second, and CPU of each process.

  python3 figures.py target/release/salon [--messages N]

Three arrangements in one run, on loopback: one process with memory; one node on a Redis (`--appendonly no`); two nodes
on it, with the speaker on one and the listener on the other. In lockstep the speaker says the next message when the
listener has heard the last one; saturated, four speakers have 64 messages each on the way to one listener. Python is
on both ends: what it takes itself is in each row alike, so compare rows, and not with other pages.
"""

import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../faults")

import harness
from harness import Client, Server, frame
from rediss import Redis

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """Seconds of user and system time so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def lockstep(speaker, listener, messages):
    took = []
    for n in range(messages):
        began = time.perf_counter()
        speaker.say(type="broadcast", room_id="den", content=f"{n}")
        listener.hear_type("broadcast")
        took.append(time.perf_counter() - began)
        if speaker is not listener:
            speaker.hear_type("broadcast")
    took.sort()
    return statistics.median(took) * 1e6, took[len(took) * 99 // 100] * 1e6


def saturated(speakers, listener, messages):
    window, said, heard = 64 * len(speakers), 0, 0
    text = "x" * 100
    began = time.perf_counter()
    while heard < messages:
        while said < messages and said - heard < window:
            room = min(16, messages - said)
            speaker = speakers[(said // 16) % len(speakers)]
            one = frame(f'{{"type":"broadcast","room_id":"den","content":"{text}"}}'.encode())
            speaker.send(one * room)
            said += room
        listener.hear_type("broadcast")
        heard += 1
    return messages / (time.perf_counter() - began)


def drain(client):
    """Reads what is there on a thread of its own, so that nobody is slow."""
    import threading

    def read():
        try:
            while client.stream.recv(1 << 18):
                pass
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()


def measured(name, speak_to, listen_to, processes, messages):
    ann, bob = Client(speak_to, "ann", room="den"), Client(listen_to, "bob", room="den")
    lockstep(ann, bob, 200)
    before = [cpu(pid) for pid in processes]
    median, worst = lockstep(ann, bob, messages)
    each = [(cpu(pid) - was) / messages * 1e6 for pid, was in zip(processes, before)]
    print(f"| {name} | lockstep | {median:.0f} | {worst:.0f} | | {' / '.join(f'{it:.0f}' for it in each)} |")
    speakers = [Client(speak_to, f"cat{n}", room="den") for n in range(4)]
    for client in (ann, *speakers):
        drain(client)
    before = [cpu(pid) for pid in processes]
    rate = saturated(speakers, bob, 4 * messages)
    each = [(cpu(pid) - was) / (4 * messages) * 1e6 for pid, was in zip(processes, before)]
    print(f"| {name} | saturated | | | {rate:.0f} | {' / '.join(f'{it:.0f}' for it in each)} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("salon")
    parser.add_argument("--messages", type=int, default=5000)
    asked = parser.parse_args()
    harness.SALON = os.path.realpath(asked.salon)
    print("| arrangement | load | p50 µs | p99 µs | messages/s | CPU µs a message: nodes / Redis |")
    print("|---|---|---|---|---|---|")
    redis = Redis("--appendonly", "no")
    try:
        alone = Server()
        measured("one process, memory", alone, alone, [alone.pid], asked.messages)
        store = {"SALON_STORE": f"redis://127.0.0.1:{redis.port}"}
        one = Server("--store-prefix", "one", environment=store)
        measured("one node", one, one, [one.pid, redis.process.pid], asked.messages)
        left, right = (Server("--store-prefix", "two", environment=store) for _ in range(2))
        pids = [left.pid, right.pid, redis.process.pid]
        measured("two nodes, from one to the other", left, right, pids, asked.messages)
    finally:
        harness.end_all()
        redis.end()


main()
