"""`wsproto` as the client and as the server of salon-proto, under every agreement of permessage-deflate.

    python talk_wsproto.py SERVER CLIENT

SERVER is the example `hyper` of salon-proto, CLIENT its `autobahn_client`: both send back every message. Everything is
said by wsproto, whole and in parts, cut at any byte, with pings between, and must come back. Ends with `N of M`.
"""

import random
import socket
import subprocess
import sys
import time

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Pong, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

SERVER, CLIENT = sys.argv[1:]
TEXTS = ["", "Hello", "κόσμε 日本 😀", "word " * 2000, "é" * 30_000, "x" * 511, "x" * 512]
BYTES = [b"", b"\0\xff", bytes(range(256)) * 20, random.Random(1).randbytes(60_000)]


class Talk:
    """One connection, as wsproto sees it, over a socket."""

    def __init__(self, stream, wsproto, rng):
        self.stream, self.wsproto, self.rng = stream, wsproto, rng
        self.waiting = []

    def send(self, event):
        data = self.wsproto.send(event)
        # Cut anywhere, now and then.
        at = self.rng.randint(0, len(data)) if self.rng.randrange(3) == 0 else len(data)
        self.stream.sendall(data[:at])
        self.stream.sendall(data[at:])

    def next(self):
        while not self.waiting:
            data = self.stream.recv(self.rng.choice([1, 7, 1 << 16]))
            self.wsproto.receive_data(data or None)
            self.waiting = list(self.wsproto.events())
        return self.waiting.pop(0)

    def message(self, kind):
        """The next message, whole, with the pongs that come before its end."""
        parts, pongs = [], []
        while True:
            event = self.next()
            if isinstance(event, Pong):
                pongs.append(bytes(event.payload))
                continue
            assert isinstance(event, kind), event
            parts.append(event.data)
            if event.message_finished:
                return type(event.data)().join(parts), pongs


def say(talk, whole):
    """Says it, perhaps in parts and with a ping between, and hears it back."""
    kind = TextMessage if isinstance(whole, str) else BytesMessage
    cuts = sorted(talk.rng.randint(0, len(whole)) for _ in range(talk.rng.choice([0, 0, 1, 3])))
    cuts = [0, *cuts, len(whole)]
    pings = []
    for place, (start, end) in enumerate(zip(cuts, cuts[1:])):
        if talk.rng.randrange(4) == 0:
            pings.append(talk.rng.randbytes(talk.rng.choice([0, 4, 125])))
            talk.send(Ping(pings[-1]))
        talk.send(kind(data=whole[start:end], message_finished=place + 2 == len(cuts)))
    heard, pongs = talk.message(kind)
    assert heard == whole, (heard, whole)
    assert pongs == pings, "each ping is answered, before the message that ends behind it"


def talk_over(stream, wsproto, seed):
    talk = Talk(stream, wsproto, random.Random(seed))
    for whole in talk.rng.sample(TEXTS + BYTES, len(TEXTS + BYTES)):
        say(talk, whole)
    talk.send(CloseConnection(code=4000, reason="bye"))
    event = talk.next()
    assert isinstance(event, CloseConnection) and event.code == 4000, event
    stream.shutdown(socket.SHUT_WR)
    assert stream.recv(1) == b"", "nothing behind the Close but the end"


def as_client(port, deflate, seed):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
        wsproto = WSConnection(ConnectionType.CLIENT)
        extensions = [] if deflate is None else [PerMessageDeflate(**deflate)]
        stream.sendall(wsproto.send(Request(host="h", target="/ws", extensions=extensions)))
        talk = Talk(stream, wsproto, random.Random(0))
        accepted = talk.next()
        assert isinstance(accepted, AcceptConnection), accepted
        assert len(accepted.extensions) == len(extensions), accepted
        talk_over(stream, wsproto, seed)


def accept(listener, deflate):
    stream, _ = listener.accept()
    stream.settimeout(30)
    wsproto = WSConnection(ConnectionType.SERVER)
    asked = Talk(stream, wsproto, random.Random(0)).next()
    assert isinstance(asked, Request), asked
    extensions = [] if deflate is None else [PerMessageDeflate(**deflate)]
    stream.sendall(wsproto.send(AcceptConnection(extensions=extensions)))
    return stream, wsproto, asked.target


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# wsproto always offers and answers windows; without a context of the client, because our server asks for that, and our
# client offers it.
AGREEMENTS = [None] + [
    {
        "client_no_context_takeover": True,
        "server_no_context_takeover": forgets,
        "client_max_window_bits": client,
        "server_max_window_bits": server,
    }
    for forgets in [False, True]
    for client in [9, 12, 15]
    for server in [9, 12, 15]
]

good = 0
port = free_port()
server = subprocess.Popen([SERVER, f"127.0.0.1:{port}"])
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    for seed, deflate in enumerate(AGREEMENTS):
        as_client(port, deflate, seed)
        good += 1
finally:
    server.kill()
print(f"wsproto as the client: {good} agreements")

with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.settimeout(30)
    client = subprocess.Popen([CLIENT, f"127.0.0.1:{listener.getsockname()[1]}", "wsproto"], stdout=subprocess.DEVNULL)
    try:
        stream, wsproto, target = accept(listener, None)
        with stream:
            assert target == "/getCaseCount", target
            talk = Talk(stream, wsproto, random.Random(0))
            talk.send(Message(data=str(len(AGREEMENTS))))
            talk.send(CloseConnection(code=1000))
            assert isinstance(talk.next(), CloseConnection)
        for seed, deflate in enumerate(AGREEMENTS):
            stream, wsproto, target = accept(listener, deflate)
            with stream:
                assert target.startswith("/runCase?case="), target
                talk_over(stream, wsproto, seed)
            good += 1
        stream, wsproto, target = accept(listener, None)
        with stream:
            talk = Talk(stream, wsproto, random.Random(0))
            talk.send(CloseConnection(code=1000))
            assert isinstance(talk.next(), CloseConnection)
        assert client.wait(30) == 0
    finally:
        client.kill()
print(f"{good} of {2 * len(AGREEMENTS)}")
sys.exit(good != 2 * len(AGREEMENTS))
