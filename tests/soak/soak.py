"""Runs a Salon, the people and the trouble, breaks things, and looks at what it costs; see run.sh.

    python soak.py SALON MINUTES FOLDER
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "faults"))
import harness  # noqa: E402

harness.SALON, MINUTES, FOLDER = sys.argv[1], float(sys.argv[2]), sys.argv[3]
ROOMS, SPEAKERS, LISTENERS = 4, 3, 4  # of each of the two groups
HISTORY_AGE = 30  # seconds; long enough for everybody to come back, short enough to see it go
SETTLE = 25  # seconds that memory is given to grow to its size
# Beyond what it was at its largest in the first half it may grow in the second by so much.
GROWTH, SLACK = 1.10, 2 << 20
# When all have gone it may hold so much more than before anybody came: known names, spare buffers, what the allocator
# keeps.
LEFT_OVER = 8 << 20
GOOD = 'rate = "{}:40"\nhistory_age = "30s"\n'
BAD = ['rate = "fast"\n', "max_conections = 1\n", "rate = [\n", "leave_grace = -1\n"]


class Sampling(threading.Thread):
    """Resident memory of the server, twice a second."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.pid, self.since, self.samples = server.pid, time.monotonic(), []

    def now(self):
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def run(self):
        try:
            while True:
                self.samples.append((time.monotonic() - self.since, self.now()))
                time.sleep(0.5)
        except (OSError, ValueError):
            pass

    def largest(self, begin, end):
        return max(rss for at, rss in self.samples if begin <= at < end)


def program(name, *arguments):
    process = subprocess.Popen([sys.executable, os.path.join(HERE, name), *map(str, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    harness._started.append(process)
    return process


def tell(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()


class Faults:
    """One breaks every few seconds."""

    def __init__(self, server, settings, stoppable):
        self.server, self.settings, self.stoppable = server, settings, stoppable
        self.counts, self.kills = {}, shutil.which("ss") and os.geteuid() == 0

    def one(self):
        choices = [self.kill_some, self.stop_clients, self.stop_server, self.good_settings, self.bad_settings]
        fault = random.choice(choices if self.kills else choices[1:])
        fault()
        self.counts[fault.__name__] = self.counts.get(fault.__name__, 0) + 1

    def kill_some(self):
        """As if both sides had been told that the other is gone."""
        listed = subprocess.run(["ss", "-Htn", "sport", "=", str(self.server.public)], capture_output=True, text=True).stdout
        ports = [line.split()[-1].rsplit(":", 1)[1] for line in listed.splitlines()]
        for port in random.sample(ports, min(10, len(ports))):
            subprocess.run(["ss", "-K", "-t", "sport", "=", str(self.server.public), "dport", "=", port],
                           capture_output=True, check=False)

    def stop_clients(self):
        self.stoppable.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.5, 8))
        self.stoppable.send_signal(signal.SIGCONT)

    def stop_server(self):
        self.server.stop()
        time.sleep(random.uniform(0.1, 3))
        self.server.go_on()

    def reload(self, text):
        with open(self.settings, "w") as file:
            file.write(text)
        self.server.signal("HUP")

    def good_settings(self):
        self.reload(GOOD.format(random.randrange(20, 30)))

    def bad_settings(self):
        self.reload(random.choice(BAD))


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"


def main():
    seed = random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}; {MINUTES:g} minutes", flush=True)
    settings = os.path.join(FOLDER, "salon.toml")
    with open(settings, "w") as file:
        file.write(GOOD.format(20))
    server = harness.Server("--config", settings, "--ping-after", "5s", "--pong-within", "15s", "--max-users", "2000",
                            settings=["--log", "warn"])
    sampling = Sampling(server)
    server.metrics()
    time.sleep(0.1)
    before, descriptors = sampling.now(), server.descriptors()
    sampling.start()
    groups = [program("people.py", server.public, name, ROOMS, SPEAKERS, LISTENERS, 2 * SPEAKERS) for name in ("a", "b")]
    for group in groups:
        assert group.stdout.readline() == "ready\n", "the people cannot join"
    for group in groups:
        tell(group, "go")
    trouble = program("trouble.py", server.public)
    faults = Faults(server, settings, groups[1])
    begin = time.monotonic()
    end, told, next_fault = begin + MINUTES * 60, begin, begin + 5
    while time.monotonic() < end:
        for process in (*groups, trouble):
            assert process.poll() is None, f"{process.args[1:3]} ended with {process.returncode}"
        server.lives()
        if time.monotonic() >= next_fault:
            faults.one()
            next_fault = time.monotonic() + random.uniform(1, 5)
        if time.monotonic() >= told:
            told += 10
            metrics = server.metrics()
            closes = sum(count for name, count in metrics.items() if name.startswith("salon_closes_total"))
            print(f"{time.monotonic() - begin:6.0f} s  {mib(sampling.now()):>9}  {metrics['salon_connections']:4.0f} connections  "
                  f"{metrics['salon_broadcasts_total']:8.0f} said  {metrics['salon_deliveries_total']:9.0f} delivered  "
                  f"{closes:6.0f} closed  {metrics['salon_rate_limited_total']:8.0f} rate-limited", flush=True)
        time.sleep(0.1)
    loaded = time.monotonic() - sampling.since
    trouble.stdin.close()
    troubled = json.loads(trouble.stdout.read())
    assert trouble.wait(30) == 0
    for group in groups:
        tell(group, "stop")
    heard = []
    for group in groups:
        words, _ = group.communicate(timeout=120)
        assert group.returncode == 0, "the people have not all heard everything once and in order"
        heard.append([json.loads(line) for line in words.splitlines()])
    for one, other in zip(*heard, strict=True):
        assert (one["seq"], one["digest"], one["said"]) == (other["seq"], other["digest"], other["said"]), (one, other)
    metrics = server.metrics()
    cut = {name.split('"')[1]: count for name, count in metrics.items() if name.startswith("salon_cut_off_total")}
    total = {what: sum(room[what] for group in heard for room in group) for what in ("heard", "plain", "cuts")}
    said = sum(room["said"] for room in heard[0])
    print(f"ok - {said} messages of {2 * ROOMS * SPEAKERS} speakers, heard {total['heard']} times (and {total['plain']} times by "
          f"plain clients), each once and in order through {total['cuts']} cuts")
    print(f"ok - trouble: {', '.join(f'{count} {name}' for name, count in troubled.items())}; "
          f"cut off for {', '.join(f'{reason} {count:.0f}' for reason, count in cut.items())}")
    print(f"ok - faults: {', '.join(f'{count} {name}' for name, count in faults.counts.items())}"
          + ("" if faults.kills else " (skipped - kill_some: needs root and ss)"))
    # Half of the time that is left when memory has had time to grow to its size.
    if loaded > 3 * SETTLE:
        half = SETTLE + (loaded - SETTLE) / 2
        first, second = sampling.largest(SETTLE, half), sampling.largest(half, loaded)
        assert second <= first * GROWTH + SLACK, f"memory grew from {mib(first)} to {mib(second)}"
        print(f"ok - memory has its size: {mib(first)} at most in the first half, {mib(second)} in the second")
    else:
        print("skipped - memory has its size: too short to tell")
    harness.wait_until(lambda: server.is_empty(descriptors), "all connections, sessions, users and descriptors are released")
    metrics = server.metrics()
    accepted, upgraded = metrics["salon_connections_accepted_total"], metrics["salon_connections_upgraded_total"]
    closed = sum(count for name, count in metrics.items() if name.startswith("salon_closes_total"))
    assert closed == upgraded, f"{upgraded} were upgraded and {closed} closed"
    print(f"ok - of {accepted:.0f} connections nothing is left; {closed:.0f} closes for {upgraded:.0f} upgrades; "
          f"{server.descriptors()} descriptors as at the beginning")
    # The sweep of what is too old comes every minute.
    harness.wait_until(lambda: server.metric("salon_rooms") == 0, "no room keeps anything", within=HISTORY_AGE + 100)
    after = sampling.now()
    assert after <= before + LEFT_OVER, f"{mib(before)} before, {mib(after)} after"
    print(f"ok - no room is left; memory {mib(before)} before, {mib(sampling.largest(0, 1 << 30))} at most, {mib(after)} after")
    server.signal("TERM")
    assert server.process.wait(10) == 0
    rejected = sum("the settings stay as they were" in line for line in server.errors)
    assert rejected == faults.counts.get("bad_settings", 0), (rejected, faults.counts)
    print(f"ok - {rejected} wrong settings changed nothing; stopped with status 0")


for name in (signal.SIGTERM, signal.SIGHUP):  # nobody is left behind
    signal.signal(name, lambda *_: sys.exit(1))
try:
    main()
except (AssertionError, subprocess.TimeoutExpired) as error:
    print(f"not ok - {type(error).__name__}: {error}")
    sys.exit(1)
finally:
    harness.end_all()
