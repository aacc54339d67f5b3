"""The same bytes through Salon's codec and through `wsproto`, which does no I/O: the same messages, the same close code.

    python differential_wsproto.py PORT CLIENT [STREAMS]

On either side of a connection: `salon echo` at PORT hears what a client says, and CLIENT (the example
`autobahn_client` of salon-proto), which connects to here, what a server says; each with permessage-deflate and without.
Streams are good frames that are then damaged a little, all from a seed that a difference names. The few differences
that may be stand in `explained`, each with the section that settles it. Ends with `N streams, M different`.
"""

import random
import socket
import struct
import subprocess
import sys
import zlib

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError, generate_accept_token

PORT, CLIENT = int(sys.argv[1]), sys.argv[2]
STREAMS = int(sys.argv[3]) if len(sys.argv) > 3 else 2000

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
RSV1 = 0x40
HEAD = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
WORDS = ["a", "Hello", "κόσμε", "€", "😀", "\0", "日本", " "]
BAD_TEXT = [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]


class Stream:
    """What one side says: a client, which masks, or a server; compressed where `agreed`, a header's value, says so."""

    def __init__(self, seed, masks, agreed):
        self.rng = random.Random(seed)
        self.masks, self.agreed = masks, agreed
        side = "client" if masks else "server"
        self.forgets = f"{side}_no_context_takeover" in agreed
        bits = [int(part.split("=")[1]) for part in agreed.split("; ") if part.startswith(f"{side}_max_window_bits=")]
        self.bits = bits[0] if bits else 15
        self.compressor = None
        # What of it may be heard in another way: see `explained`.
        self.garbled = self.compressed_badly = False
        self.data = b"".join(self.message() for _ in range(self.rng.randint(1, 6)))
        if self.rng.randrange(2):
            self.data += self.close()
        if self.rng.randrange(3) == 0:
            self.damage()

    def frame(self, first, payload):
        rng, length = self.rng, len(payload)
        fault = rng.randrange(100)
        if fault == 0:
            first |= rng.choice([0x40, 0x20, 0x10])
            self.garbled = True
        elif fault == 1:
            first ^= rng.choice([1, 2, 4, 8, 0x80])
            self.garbled = True
        mask = 0x80 if self.masks != (fault == 4) else 0
        if fault == 2 or length > 0xFFFF:
            head = struct.pack("!BBQ", first, mask | 127, length)
        elif fault == 3 or length > 125:
            head = struct.pack("!BBH", first, mask | 126, length)
        else:
            head = struct.pack("!BB", first, mask | length)
        if not mask:
            return head + payload
        key = rng.randbytes(4)
        return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))

    def control(self):
        return self.frame(0x80 | self.rng.choice([PING, PONG]), b"p" * self.rng.choice([0, 4, 125, 125, 126]))

    def message(self):
        rng = self.rng
        bad = False
        if rng.randrange(3) == 0:
            opcode, payload = BINARY, rng.randbytes(rng.choice([0, 5, 126, 300, 70_000]))
        else:
            opcode, payload = TEXT, "".join(rng.choices(WORDS, k=rng.choice([0, 3, 20, 130]))).encode()
            if rng.randrange(12) == 0:
                at = rng.randint(0, len(payload))
                payload = payload[:at] + rng.choice(BAD_TEXT) + payload[at:]
                bad = True
        compressed = bool(self.agreed) and rng.randrange(3) > 0
        if compressed:
            payload = self.compress(payload)
            opcode |= RSV1
            self.compressed_badly |= bad
        cuts = sorted(rng.randint(0, len(payload)) for _ in range(rng.choice([0, 0, 0, 1, 4])))
        cuts = [0, *cuts, len(payload)]
        data = b""
        for place, (start, end) in enumerate(zip(cuts, cuts[1:])):
            last = place + 2 == len(cuts)
            data += self.frame((0x80 if last else 0) | (0 if place else opcode), payload[start:end])
            # A control frame amid a compressed message has wsproto 1.3 forget that it is compressed.
            if rng.randrange(6) == 0 and (last or not compressed):
                data += self.control()
        return data

    def compress(self, payload):
        if self.compressor is None or self.forgets:
            self.compressor = zlib.compressobj(6, zlib.DEFLATED, -self.bits)
        return (self.compressor.compress(payload) + self.compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def close(self):
        rng = self.rng
        code = rng.choice(
            [1000, 1003, 1011, 3000, 4999, 0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 5000, rng.randrange(5100)]
        )
        good = struct.pack("!H", code)
        return self.frame(0x80 | CLOSE, rng.choice([b"", b"\3", *[good + b"bye"] * 4, good + b"\xff"]))

    def damage(self):
        rng, data = self.rng, self.data
        at = rng.randrange(len(data))
        change = rng.choice([bytes([data[at] ^ 1 << rng.randrange(8)]), rng.randbytes(1), b"", rng.randbytes(2), None])
        self.data = data[:at] if change is None else data[:at] + change + data[at + 1 :]
        self.garbled = True


def theirs_of(stream, data):
    """What wsproto hears and would answer: messages, pongs, and the code of its Close."""
    extensions = []
    if stream.agreed:
        extensions.append(PerMessageDeflate())
        extensions[0].finalize(stream.agreed)
    connection = Connection(ConnectionType.SERVER if stream.masks else ConnectionType.CLIENT, extensions)
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


def read_to_end(stream):
    answer = []
    try:
        while data := stream.recv(1 << 16):
            answer.append(data)
    except ConnectionResetError:
        pass  # what had come before it has been read
    return b"".join(answer)


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        assert byte, head
        head += byte
    return head


def header(head, name):
    values = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(name + b": ")]
    return values[0].decode() if values else ""


def say(stream, data):
    try:
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError, OSError):
        pass  # whoever heard enough has gone


def frames(answer, masked):
    """Messages and pongs sent back, and the code of the Close, of which each message is compressed for itself."""
    heard, at = [], 0
    while at < len(answer):
        first, second = answer[at], answer[at + 1]
        at, length = at + 2, second & 0x7F
        assert bool(second & 0x80) == masked, "a client masks"
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(answer[at : at + size], "big"), at + size
        key, at = (answer[at : at + 4], at + 4) if masked else (b"", at)
        payload, at = answer[at : at + length], at + length
        assert len(payload) == length, "whole frames"
        if masked:
            stretched = key * (length // 4 + 1)
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched[:length], "big")).to_bytes(length, "big")
        if first & RSV1:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        if first == 0x80 | CLOSE:
            assert at == len(answer), "nothing after Close"
            return heard, struct.unpack("!H", payload[:2])[0] if payload else 1005
        heard.append((first & 0x0F, payload))
    return heard, None


def asked(offer):
    extensions = b"Sec-WebSocket-Extensions: " + offer.encode() + b"\r\n" if offer else b""
    stream = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    stream.sendall(HEAD + extensions + b"\r\n")
    head = read_head(stream)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return stream, header(head, b"sec-websocket-extensions")


def of_server(seed, offer):
    """A stream of a client, and what `salon echo` sends back to it."""
    connection, agreed = asked(offer)
    assert bool(offer) == bool(agreed), agreed
    stream = Stream(seed, True, agreed)
    with connection:
        say(connection, stream.data)
        return stream, frames(read_to_end(connection), False)


OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; client_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
]
ANSWERS = [
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; client_no_context_takeover; client_max_window_bits=12; server_max_window_bits=12",
]


def connected(listener, answers=""):
    """The next connection of CLIENT, which was let in, and what it asks for."""
    connection, _ = listener.accept()
    connection.settimeout(30)
    head = read_head(connection)
    assert "permessage-deflate" in header(head, b"sec-websocket-extensions")
    accept = generate_accept_token(header(head, b"sec-websocket-key").encode())
    extensions = b"Sec-WebSocket-Extensions: " + answers.encode() + b"\r\n" if answers else b""
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extensions + b"\r\n"
    )
    return connection, head.split(b" ")[1].decode()


def of_client(listener, seed, answers):
    """A stream of a server, and what CLIENT sends back to it."""
    connection, target = connected(listener, answers)
    assert target.startswith("/runCase?"), target
    stream = Stream(seed, False, answers)
    with connection:
        say(connection, stream.data)
        return stream, frames(read_to_end(connection), True)


def explained(stream, ours, theirs):
    (our_messages, our_pongs), (their_messages, their_pongs) = apart(ours[0]), apart(theirs[0])
    if stream.masks and is_within(our_pongs, their_pongs):
        # A peer that has not read yet is sent the newest pong alone, and behind what waits for it; a pong that waits at
        # a violation is not sent (5.5.3).
        ours, theirs = (our_messages, ours[1]), (their_messages, theirs[1])
        if ours == theirs:
            return "a pong came later, or was left out for a newer one (5.5.3)"
    if stream.agreed:
        match ours[1], theirs[1]:
            case 1007, _ if stream.garbled and theirs[0][: len(ours[0])] == ours[0]:
                return "zlib waits for more of what is no DEFLATE, or does not end with a block (RFC 7692 7.2.2)"
            case _, 1007 if (stream.compressed_badly or stream.garbled) and ours[0][: len(theirs[0])] == theirs[0]:
                return "a compressed message is judged when it is whole, by wsproto as it comes"
    if ours[0] != theirs[0]:
        return None
    if ours[1] is None and theirs_of(stream, stream.data[:-9])[1] is None:
        return "the length of a control frame is not whole, but says already that it is too long (5.5)"
    match ours[1], theirs[1]:
        case 1014, 1002:
            return "wsproto does not know 1014, which is registered with IANA (7.4.2, 11.7)"
        case (1002, 1007) | (1007, 1002):
            return "a Close with two faults: code and reason (7.4.1, 8.1)"
        case 1009, None if stream.garbled:
            return "a length that is over our limit for messages (7.4.1)"
    return None


def apart(heard):
    """Messages, and pongs."""
    return [one for one in heard if one[0] != PONG], [one for one in heard if one[0] == PONG]


def is_within(some, all_of_them):
    """Whether these are of the others, in their order."""
    rest = iter(all_of_them)
    return all(any(one == other for other in rest) for one in some)


def compare(what, streams):
    different, alike, why = 0, 0, {}
    for stream, our_answer in streams:
        their_answer = theirs_of(stream, stream.data)
        if our_answer[1] and their_answer[1] is None:
            # We judge a header byte by byte, wsproto when it is whole: so it is completed.
            their_answer = theirs_of(stream, stream.data + b"\xff" * 14)
        if our_answer == their_answer:
            alike += len(our_answer[0])
            continue
        reason = explained(stream, our_answer, their_answer)
        if reason is not None:
            why[reason] = why.get(reason, 0) + 1
            continue
        different += 1
        same = 0
        while same < min(len(our_answer[0]), len(their_answer[0])) and our_answer[0][same] == their_answer[0][same]:
            same += 1
        print(f"{what}, {stream.agreed}, seed {stream.seed}: {same} messages alike; then")
        print(f"  salon {our_answer[1]} {our_answer[0][same:]!r:.200}")
        print(f"  wsproto {their_answer[1]} {their_answer[0][same:]!r:.200}")
    for reason, count in why.items():
        print(f"{what}: {count} times: {reason}")
    print(f"{what}: {alike} messages alike, {different} streams different")
    return different


def numbered(seed, heard):
    heard[0].seed = seed
    return heard


different = compare("server", (numbered(seed, of_server(seed, "")) for seed in range(STREAMS)))
offered = ((seed, OFFERS[seed % len(OFFERS)]) for seed in range(STREAMS))
different += compare("server, deflate", (numbered(seed, of_server(seed, offer)) for seed, offer in offered))

with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.settimeout(30)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    client = subprocess.Popen([CLIENT, address, "wsproto"], stdout=subprocess.DEVNULL)
    try:
        connection, target = connected(listener)
        assert target == "/getCaseCount", target
        count = str(2 * STREAMS).encode()
        with connection:
            say(connection, bytes([0x80 | TEXT, len(count)]) + count + b"\x88\x02\x03\xe8")
            read_to_end(connection)
        plain = (numbered(seed, of_client(listener, seed, "")) for seed in range(STREAMS))
        different += compare("client", plain)
        answered = ((seed, ANSWERS[seed % len(ANSWERS)]) for seed in range(STREAMS))
        deflated = (numbered(seed, of_client(listener, seed, answers)) for seed, answers in answered)
        different += compare("client, deflate", deflated)
        with connected(listener)[0] as connection:  # it asks for a report
            say(connection, b"\x88\x02\x03\xe8")
            read_to_end(connection)
        assert client.wait(30) == 0
    finally:
        client.kill()
print(f"{4 * STREAMS} streams, {different} different")
sys.exit(different > 0)
