"""What the checks share: a server, clients of a few lines, its counters, and the ways to hurt it.

Nothing here waits for a time to pass and hopes: `wait_until` waits for what must become true, and for so long at most.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

SALON = ""  # the binary
CHECKS = []  # in the order they are defined
PATIENCE = 30  # seconds until what must come is given up
SETTINGS = ["--rate", "off", "--log", "warn"]
STORE = {"SALON_STORE": "memory"}  # if no option says otherwise: never the file of whoever runs this
_started = []


class Skip(Exception):
    """This check cannot be made here; why."""


class Closed(Exception):
    """The server has closed: with a code, or without (None)."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code, self.reason = code, reason


def check(needs=(), root=False, private=False, alone=False):
    """Adds a check. `needs`: programs; `private`: a network of its own; `alone`: nothing else runs meanwhile."""

    def add(function):
        def checked():
            for program in needs:
                if not shutil.which(program):
                    raise Skip(f"{program} is not installed")
            if root and os.geteuid() != 0:
                raise Skip("needs root")
            return function()

        checked.__name__, checked.private, checked.alone = function.__name__, private, alone
        CHECKS.append(checked)
        return function

    return add


def wait_until(true, what, within=PATIENCE):
    """Waits until `true()` is, and returns what it says."""
    until = time.monotonic() + within
    while True:
        answer = true()
        if answer:
            return answer
        assert time.monotonic() < until, f"waited {within} s until {what}"
        time.sleep(0.01)


def end_all():
    for process in _started:
        if process.poll() is None:
            process.kill()
            process.wait()


def enter_a_private_network():
    """Network namespace with a loopback of its own: ports, filters and killed connections are nobody else's."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_net, new_user, user, group = 0x40000000, 0x10000000, os.geteuid(), os.getegid()
    if libc.unshare(new_net) != 0:
        # A user who is not root may be root in a namespace of their own.
        if libc.unshare(new_user | new_net) != 0:
            raise Skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            for name, line in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(line)
        except OSError as error:
            raise Skip(f"no user namespace: {error}") from None
    if not shutil.which("ip"):
        raise Skip("ip is not installed")
    if subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True).returncode != 0:
        raise Skip("the loopback of a network namespace cannot be used")


class Server:
    """A running `salon serve`."""

    def __init__(self, *arguments, before=(), environment=None, settings=SETTINGS, public=0):
        self.errors = []
        command = [*before, SALON, "serve", "--listen", f"127.0.0.1:{public}", "--admin", "127.0.0.1:0"]
        self.process = subprocess.Popen([*command, *settings, *arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **STORE, **(environment or {})})
        _started.append(self.process)
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()
        said = wait_until(lambda: self._greeted(), "the server says where it listens")
        page = next(line for line in said if line.startswith("  page "))
        admin = next(line for line in said if line.startswith("  admin "))
        self.public = int(page.split("127.0.0.1:")[1].split("/")[0])
        self.admin = int(admin.split("127.0.0.1:")[1].split("/")[0])
        self.pid = self.process.pid
        self._report = None

    def _greeted(self):
        assert self.process.poll() is None, f"the server ended: {self.errors}"
        said = list(self.errors)
        return said if any("Ctrl-C" in line for line in said) else None

    def signal(self, name):
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def stop(self):
        """SIGSTOP, and until it has stopped."""
        self.signal("STOP")
        wait_until(lambda: self.state() == "T", "the server has stopped")

    def go_on(self):
        self.signal("CONT")

    def state(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    def metrics(self):
        """All counters by name with labels; over one connection, which is made when first used."""
        try:
            status, body = self._ask_for_metrics()
        except (Closed, ConnectionError):  # it was silent for longer than this server allows
            self._report = None
            status, body = self._ask_for_metrics()
        assert status == 200, status
        lines = [line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def _ask_for_metrics(self):
        if not self._report:
            self._report = connect(self.admin)
            self._report_file = self._report.makefile("rb")
        self._report.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return read_response(self._report_file)

    def metric(self, name):
        return self.metrics()[name]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def lives(self):
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.errors[-5:]}"

    def is_empty(self, descriptors=None):
        """Nobody is here any more, but who reads the counters; and nothing is kept open for those who were."""
        metrics = self.metrics()
        here = [metrics[f"salon_{what}"] for what in ("connections", "sessions", "users")]
        return here == [0, 0, 0] and (descriptors is None or self.descriptors() <= descriptors)


def connect(port, receive_buffer=None, patience=PATIENCE):
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.settimeout(patience)
    stream.connect(("127.0.0.1", port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def reset(stream):
    """Closes with RST instead of FIN."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def read_response(file):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            raise Closed(None, f"amid a response: {head!r}")
        head += line
    lines = head.decode().split("\r\n")
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
    return int(lines[0].split()[1]), file.read(length)


def get(port, path):
    with connect(port) as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with stream.makefile("rb") as file:
            return read_response(file)


def upgrade(path):
    return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()


def frame(payload, opcode=1, final=True):
    """A client's frame; the masking key is zero, so that the payload stays readable."""
    if isinstance(payload, str):
        payload = payload.encode()
    first = (0x80 if final else 0) | opcode
    if len(payload) < 126:
        return struct.pack("!BBI", first, 0x80 | len(payload), 0) + payload
    if len(payload) < 1 << 16:
        return struct.pack("!BBHI", first, 0x80 | 126, len(payload), 0) + payload
    return struct.pack("!BBQI", first, 0x80 | 127, len(payload), 0) + payload


class Client:
    """A client of the JSON dialect, without any cleverness."""

    def __init__(self, server, name, receive_buffer=None, since=None, room=None, history=None):
        self.name, self.seq, self.epoch = name, 0, None
        self.stream = connect(server.public, receive_buffer)
        self.data = bytearray()
        self.stream.sendall(upgrade(f"/ws?user={name}"))
        while b"\r\n\r\n" not in self.data:
            self._more()
        head, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.data = bytearray(rest)
        if room:
            self.join(room, since=since, history=history)

    def _more(self):
        got = self.stream.recv(1 << 16)
        if not got:
            raise Closed(None, "without a word")
        self.data += got

    def _frame(self):
        """The next frame that has come whole: opcode and payload."""
        while True:
            length, start = self.data[1] & 0x7F if len(self.data) > 1 else 0, 2
            if length == 126 and len(self.data) >= 4:
                length, start = int.from_bytes(self.data[2:4], "big"), 4
            elif length == 127 and len(self.data) >= 10:
                length, start = int.from_bytes(self.data[2:10], "big"), 10
            elif length >= 126:
                length = 1 << 62
            if len(self.data) >= max(2, start + length):
                opcode, payload = self.data[0] & 15, bytes(self.data[start:start + length])
                del self.data[:start + length]
                return opcode, payload
            self._more()

    def send(self, data):
        self.stream.sendall(data)

    def say(self, **message):
        self.send(frame(json.dumps(message)))

    def hear(self):
        """The next message. Pings are answered. Messages of a room must be numbered without a hole."""
        while True:
            opcode, payload = self._frame()
            if opcode == 9:
                self.send(frame(payload, 10))
            elif opcode == 8:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                raise Closed(code, payload[2:].decode())
            elif opcode == 1:
                message = json.loads(payload)
                if message["type"] == "broadcast" and message["room_id"] != "*":
                    assert message["seq"] == self.seq + 1, f"{self.name} had {self.seq} and heard {message}"
                    self.seq = message["seq"]
                return message

    def hear_type(self, *kinds):
        while True:
            message = self.hear()
            assert message["type"] != "error" or "error" in kinds, f"{self.name} heard {message}"
            if message["type"] in kinds:
                return message

    def join(self, room, since=None, history=None):
        """Joins; with `since` (a client before this one) goes on where that one was."""
        self.room = room
        more = {"history": history} if history else {}
        if since:
            more["since"] = {"epoch": since.epoch, "seq": since.seq}
        self.say(type="join", room_id=room, **more)
        joined = self.hear_type("joined")
        self.epoch, self.recovered = joined["epoch"], joined["recovered"]
        self.seq = since.seq if since and self.recovered else joined["seq"]
        self.joined_at = joined["seq"]
        return joined

    def resume(self, room, epoch, seq):
        """Joins after somebody who had heard so much, and hears the rest; what is missing must be named."""
        self.room = room
        self.say(type="join", room_id=room, since={"epoch": epoch, "seq": seq})
        joined = self.hear_type("joined")
        self.seq = seq
        if not joined["recovered"]:
            gap = self.hear_type("gap")
            assert gap["from"] == seq + 1 and gap["why"] == "expired", gap
            self.seq = gap["to"]
        self.hear_until(joined["seq"])

    def broadcast(self, content):
        self.say(type="broadcast", room_id=self.room, content=content)

    def hear_until(self, seq):
        """Everything up to this number."""
        while self.seq < seq:
            self.hear_type("broadcast")

    def ping(self):
        self.say(type="ping")
        self.hear_type("pong")

    def code(self):
        """With what it is closed."""
        try:
            while True:
                self.hear()
        except Closed as closed:
            return closed.code
        except ConnectionError:
            return None

    def reset(self):
        reset(self.stream)

    def leave(self):
        """Closes in order."""
        self.send(frame(b"\x03\xe8", 8))
        assert self.code() == 1000
        self.stream.close()


class Neighbours:
    """Two healthy people in a room, who must never notice anything."""

    def __init__(self, server, room="neighbours"):
        self.people = [Client(server, f"{room}-{name}", room=room) for name in ("ann", "ben")]
        self.said = 0

    def talk(self, messages=20):
        for n in range(messages):
            speaker = self.people[n % 2]
            speaker.broadcast(f"message {self.said + 1}")
            self.said += 1
            for person in self.people:
                message = person.hear_type("broadcast")
                assert message["seq"] == self.said and message["content"] == f"message {self.said}", message

    def leave(self):
        for person in self.people:
            person.leave()


@contextlib.contextmanager
def injected(server, *faults):
    """The kernel's answers to the server are tampered with while this lasts, for instance `accept4:error=EMFILE`."""
    calls = ",".join(fault.split(":")[0] for fault in faults)
    options = [option for fault in faults for option in ("-e", f"inject={fault}")]
    strace = subprocess.Popen(["strace", "-f", "-qq", "-p", str(server.pid), "-o", "/dev/null", "-e", f"trace={calls}", *options],
                              stderr=subprocess.PIPE, text=True)
    _started.append(strace)

    def traced():
        if server.process.poll() is not None:
            return True
        if strace.poll() is not None:
            raise Skip(f"strace cannot attach: {strace.stderr.read().strip()}")
        with open(f"/proc/{server.pid}/status") as status:
            return f"TracerPid:\t{strace.pid}\n" in status.read()

    wait_until(traced, "strace has attached")
    # Attached comes before listening to system calls; from the next one on the fault is there.
    try:
        yield strace
    finally:
        # A call that is being tampered with while strace goes would fail with ENOSYS, which no kernel says of it.
        for _ in range(100):
            before = switches(server.pid)
            time.sleep(0.02)
            if switches(server.pid) == before:
                break
        strace.send_signal(signal.SIGINT)
        strace.wait()


def switches(pid):
    """How often a process has gone to sleep or been made to: while it waits, that stays."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return [line for line in status if "ctxt_switches" in line]
    except FileNotFoundError:
        return None
