"""The same bytes through `salon echo` and through `wsproto`, which does no I/O: the same messages, the same close code.

    python differential_wsproto.py PORT [STREAMS]

Streams are good frames that are then damaged a little, all from a seed that a difference names. The few differences
that may be stand in `explained`, each with the section that settles it. Ends with `N streams, M different`.
"""

import random
import socket
import struct
import sys

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import RemoteProtocolError

PORT = int(sys.argv[1])
STREAMS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HEAD = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WORDS = ["a", "Hello", "κόσμε", "€", "😀", "\0", "日本", " "]
BAD_TEXT = [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]


def frame(rng, first, payload):
    key = rng.randbytes(4)
    length = len(payload)
    fault = rng.randrange(100)
    if fault == 0:
        first |= rng.choice([0x40, 0x20, 0x10])
    elif fault == 1:
        first ^= rng.choice([1, 2, 4, 8, 0x80])
    if fault == 2 or length > 0xFFFF:
        head = struct.pack("!BBQ", first, 0xFF, length)
    elif fault == 3 or length > 125:
        head = struct.pack("!BBH", first, 0xFE, length)
    else:
        head = struct.pack("!BB", first, 0x80 | length)
    if fault == 4:
        return bytes([head[0], head[1] & 0x7F]) + head[2:] + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def control(rng):
    return frame(rng, 0x80 | rng.choice([PING, PONG]), b"p" * rng.choice([0, 4, 125, 125, 126]))


def message(rng):
    if rng.randrange(3) == 0:
        opcode, payload = BINARY, rng.randbytes(rng.choice([0, 5, 126, 300, 70_000]))
    else:
        opcode, payload = TEXT, "".join(rng.choices(WORDS, k=rng.choice([0, 3, 20, 130]))).encode()
        if rng.randrange(12) == 0:
            at = rng.randint(0, len(payload))
            payload = payload[:at] + rng.choice(BAD_TEXT) + payload[at:]
    cuts = sorted(rng.randint(0, len(payload)) for _ in range(rng.choice([0, 0, 0, 1, 4])))
    cuts = [0, *cuts, len(payload)]
    data = b""
    for place, (start, end) in enumerate(zip(cuts, cuts[1:])):
        final = 0x80 if place + 2 == len(cuts) else 0
        data += frame(rng, final | (0 if place else opcode), payload[start:end])
        if rng.randrange(6) == 0:
            data += control(rng)
    return data


def close(rng):
    code = rng.choice([1000, 1003, 1011, 3000, 4999, 0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 5000, rng.randrange(5100)])
    body = rng.choice([b"", b"\3", *[struct.pack("!H", code) + b"bye"] * 4, struct.pack("!H", code) + b"\xff"])
    return frame(rng, 0x80 | CLOSE, body)


def stream(rng):
    data = b"".join(message(rng) for _ in range(rng.randint(1, 6)))
    if rng.randrange(2):
        data += close(rng)
    if rng.randrange(3) == 0:
        at = rng.randrange(len(data))
        change = rng.choice([bytes([data[at] ^ 1 << rng.randrange(8)]), rng.randbytes(1), b"", rng.randbytes(2), None])
        data = data[:at] if change is None else data[:at] + change + data[at + 1 :]
    return data


def theirs(data):
    """What wsproto hears and would answer: messages, pongs, and the code of its Close."""
    connection = Connection(ConnectionType.SERVER)
    heard, parts = [], []
    connection.receive_data(data)
    try:
        for event in connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                parts.append(event.data.encode() if isinstance(event, TextMessage) else bytes(event.data))
                if event.message_finished:
                    heard.append((TEXT if isinstance(event, TextMessage) else BINARY, b"".join(parts)))
                    parts = []
            elif isinstance(event, Ping):
                heard.append((PONG, bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                return heard, int(event.code)
    except RemoteProtocolError as error:
        return heard, int(error.event_hint.code)
    return heard, None


def ours(data):
    """What `salon echo` sends back."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as stream:
        stream.sendall(HEAD + data)
        stream.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: stream.recv(1 << 16), b""))
    head, _, answer = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    heard, at = [], 0
    while at < len(answer):
        first, length = answer[at], answer[at + 1]
        at += 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(answer[at : at + size], "big"), at + size
        payload, at = answer[at : at + length], at + length
        assert len(payload) == length, "whole frames"
        if first == 0x80 | CLOSE:
            assert at == len(answer), "nothing after Close"
            return heard, struct.unpack("!H", payload[:2])[0] if payload else 1005
        heard.append((first & 0x0F, payload))
    return heard, None


def explained(ours, theirs):
    if ours[0] != theirs[0]:
        return None
    match ours[1], theirs[1]:
        case 1014, 1002:
            return "wsproto does not know 1014, which is registered with IANA (7.4.2, 11.7)"
        case (1002, 1007) | (1007, 1002):
            return "a Close with two faults: code and reason (7.4.1, 8.1)"
    return None


different, why = 0, {}
for seed in range(STREAMS):
    data = stream(random.Random(seed))
    our_answer, their_answer = ours(data), theirs(data)
    if our_answer[1] and their_answer[1] is None:
        # We judge a header byte by byte, wsproto when it is whole: so it is completed.
        their_answer = theirs(data + b"\xff" * 14)
    if our_answer != their_answer:
        reason = explained(our_answer, their_answer)
        if reason is None:
            different += 1
            same = sum(1 for one, other in zip(our_answer[0], their_answer[0]) if one == other)
            print(f"seed {seed}: {same} messages alike of {len(our_answer[0])} and {len(their_answer[0])}; then")
            print(f"  salon {our_answer[1]} {our_answer[0][same:]!r:.200}")
            print(f"  wsproto {their_answer[1]} {their_answer[0][same:]!r:.200}")
        else:
            why[reason] = why.get(reason, 0) + 1
for reason, count in why.items():
    print(f"{count} times: {reason}")
print(f"{STREAMS} streams, {different} different")
sys.exit(different > 0)
