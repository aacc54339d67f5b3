"""Load for several nodes at once, and what it costs them: shared by peers.py and costs.py.

Members of rooms are spread over the nodes; each looks at each message of each speaker of its room, and counts what is
lost, doubled or out of order. What processes cost is told by the kernel (`schedstat` of all their threads, in
nanoseconds), what Redis carries by Redis (`INFO`).
"""

import dataclasses
import os
import re
import select
import time

from harness import connect, frame, upgrade

BODY = re.compile(rb"@(\d{4})\.(\d{8})")
MARK = 14  # bytes of what BODY finds


def cpu(pid):
    """Seconds that the threads of a process have run."""
    ran = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                ran += int(stat.read().split()[0])
        except FileNotFoundError:  # it has ended
            pass
    return ran / 1e9


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def counters(redis):
    """What Redis says of itself: bytes in and out, memory, and of each command how often, and for how long in us."""
    told = dict(line.split(":", 1) for line in redis.call("INFO", "ALL").splitlines() if ":" in line)
    commands = {}
    for name, value in told.items():
        if name.startswith("cmdstat_"):
            fields = dict(pair.split("=") for pair in value.split(","))
            commands[name[8:]] = (int(fields["calls"]), int(fields["usec"]))
    return {"in": int(told["total_net_input_bytes"]), "out": int(told["total_net_output_bytes"]),
            "memory": int(told["used_memory"]), "commands": commands}


def calls(before, after):
    """Of each command, how often it was called between two looks; those of a script are counted too."""
    of = {name: n - before["commands"].get(name, (0, 0))[0] for name, (n, _) in after["commands"].items()}
    return {name: n for name, n in of.items() if n and name not in ("info", "ping")}


@dataclasses.dataclass
class Dialect:
    """How a client of a server comes into a room and says something; {id} and {room} are numbers, {body} the text."""

    path: str
    join: str
    joined: bytes
    message: str


SALON = Dialect("/ws?user=u{id}", '{{"type":"join","room_id":"r{room}"}}', b'"joined"',
                '{{"type":"broadcast","room_id":"r{room}","content":"{body}"}}')
SOCKET_IO = Dialect("/socket.io/?EIO=4&transport=websocket", '40{{"room":"r{room}"}}', b'40{"sid"',
                    '42["say","{body}"]')
# Its commands may share a message, each on a line; it tells them apart by number.
CENTRIFUGE = Dialect("/?user=u{id}", '{{"id":1}}\n{{"id":2,"method":1,"params":{{"channel":"r{room}"}}}}', b'"id":2',
                     '{{"id":3,"method":3,"params":{{"channel":"r{room}","data":"{body}"}}}}')


class Member:
    def __init__(self, number, port, room, dialect):
        self.number, self.room, self.dialect = number, room, dialect
        self.rest, self.heard, self.out = b"", {}, []
        self.stream = connect(port)
        self.stream.sendall(upgrade(dialect.path.format(id=number, room=room)))
        self._until(b"\r\n\r\n")

    def _until(self, what):
        while what not in self.rest:
            got = self.stream.recv(1 << 16)
            assert got, f"the server has closed: {self.rest[-200:]}"
            self.rest += got
        self.rest = self.rest.split(what, 1)[1]

    def join(self):
        self.stream.sendall(frame(self.dialect.join.format(id=self.number, room=self.room)))
        self._until(self.dialect.joined)


class Crowd:
    """Members of `rooms`, spread over `ports`; of each room the first `speakers` speak."""

    def __init__(self, ports, members, rooms, speakers, size, dialect):
        self.members, self.by_descriptor, self.poll = [], {}, select.epoll()
        self.size, self.dialect, self.rooms = size, dialect, rooms
        for number in range(members):
            # Those of a room come after one another, each on the next node.
            self.members.append(Member(number, ports[number % len(ports)], number * rooms // members, dialect))
        for member in self.members:
            member.join()
        each = members // rooms
        self.speakers = [self.members[room * each + n] for n in range(speakers) for room in range(rooms)]
        self.said = [0] * len(self.speakers)
        self.due = [[0.0] for _ in self.speakers]
        self.numbers = {id(member): n for n, member in enumerate(self.speakers)}
        self.sizes = [0] * rooms
        for member in self.members:
            self.sizes[member.room] += 1
            member.stream.setblocking(False)
            self.by_descriptor[member.stream.fileno()] = member
            self.poll.register(member.stream.fileno(), select.EPOLLIN)
        self.wanted = self.delivered = self.faults = 0
        self.took, self.own, self.measuring = [], [], False

    def say(self, speaker, due):
        """The speaker's next message, which was to be sent at that time."""
        self.said[speaker] += 1
        self.due[speaker].append(due)
        member = self.speakers[speaker]
        body = f"@{speaker:04}.{self.said[speaker]:08}".ljust(self.size, "x")
        words = frame(self.dialect.message.format(room=member.room, body=body))
        sent = member.stream.send(words)
        assert sent == len(words), "a speaker's socket is full"
        self.wanted += self.sizes[member.room]

    def listen(self, until):
        """Takes what comes, for that long at most."""
        ready = self.poll.poll(max(0, until - time.perf_counter()), 256)
        for descriptor, _ in ready:
            member = self.by_descriptor[descriptor]
            try:
                got = member.stream.recv(1 << 18)
            except BlockingIOError:
                continue
            assert got, "the server has closed a connection"
            now, data, end = time.perf_counter(), member.rest + got, 0
            heard, took = member.heard, self.took
            for found in BODY.finditer(data):
                speaker, number = int(found[1]), int(found[2])
                end = found.end()
                if number != heard.get(speaker, 0) + 1:
                    self.faults += 1
                heard[speaker] = number
                self.delivered += 1
                if self.measuring:
                    took.append(now - self.due[speaker][number])
                if self.speakers[speaker] is member:
                    self.own.append(speaker)
            member.rest = data[max(end, len(data) - MARK):]

    def hear_all(self, within=30):
        """Until all have heard all."""
        until = time.perf_counter() + within
        while self.delivered < self.wanted:
            assert time.perf_counter() < until, f"{self.wanted - self.delivered} of {self.wanted} are lost"
            self.listen(time.perf_counter() + 0.1)
        self.own.clear()

    def paced(self, rate, seconds):
        """So many messages a second by the clock, of all speakers in turn. How many."""
        began, n = time.perf_counter(), 0
        while n < rate * seconds:
            due = began + n / rate
            if due > time.perf_counter():
                self.listen(due)
                continue
            self.say(n % len(self.speakers), due)
            n += 1
            self.listen(0)
        self.hear_all()
        return n

    def saturated(self, window, seconds):
        """Each speaker has so many messages on the way. How many."""
        until, n = time.perf_counter() + seconds, 0
        self.own = [speaker for speaker in range(len(self.speakers)) for _ in range(window)]
        while time.perf_counter() < until:
            ready, self.own = self.own, []
            for speaker in ready:
                self.say(speaker, time.perf_counter())
            n += len(ready)
            self.listen(until)
        self.hear_all()
        return n

    def close(self):
        self.poll.close()
        for member in self.members:
            member.stream.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def pinned(core):
    """For `preexec_fn` and the bench itself: on this core alone, if there is one."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})
