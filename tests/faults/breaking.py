"""Connections break: reset, killed, vanished, cut into single bytes, interrupted."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import (Client, Closed, Neighbours, Server, Skip, check, connect, frame, get, injected, reset, upgrade,
                     wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))


@check()
def resets_at_any_moment_free_everything_and_are_told_once():
    server = Server("--leave-grace", "1s")
    neighbours = Neighbours(server)
    server.metrics()
    descriptors = server.descriptors()
    whole = upgrade("/ws?user=victim") + frame('{"type":"join","room_id":"neighbours"}')
    text = frame('{"type":"broadcast","room_id":"victims","content":"' + "x" * 200 + '"}')
    moments = {
        "before a word": b"",
        "amid the head": whole[:60],
        "with the head": upgrade("/ws?user=victim"),
        "amid a frame's head": upgrade("/ws?user=victim") + text[:3],
        "amid a frame": upgrade("/ws?user=victim") + text[:100],
        "amid a message": upgrade("/ws?user=victim") + frame("he", final=False),
        "having asked much": upgrade("/ws?user=victim") + frame('{"type":"ping"}') * 2000,
        "with its Close": upgrade("/ws?user=victim") + frame(b"\x03\xe8", 8),
        "with an error": upgrade("/ws?user=victim") + frame(b"x", 3),
    }
    for name, data in moments.items():
        for _ in range(20):
            stream = connect(server.public)
            stream.sendall(data)
            reset(stream)
        neighbours.talk(4)
    # Those whom the server knows well: in a room, and one for whom much waits.
    for _ in range(20):
        victim = Client(server, "victim", room="victims")
        victim.broadcast("I was here")
        victim.reset()
    deaf = Client(server, "deaf", receive_buffer=2048, room="loud")
    loud = Client(server, "loud", room="loud")
    while server.metric("salon_writes_blocked_total") == 0:
        loud.broadcast("x" * 8000)
        loud.hear_type("broadcast")
    deaf.reset()
    loud.broadcast("still here")
    loud.hear_type("broadcast")
    loud.leave()
    neighbours.talk()
    neighbours.leave()
    wait_until(lambda: server.is_empty(descriptors), "all is released")
    metrics = server.metrics()
    closes = sum(count for name, count in metrics.items() if name.startswith("salon_closes_total"))
    upgraded = metrics["salon_connections_upgraded_total"]
    assert closes == upgraded, f"{upgraded} upgraded and {closes} closed"


@check()
def a_newcomer_is_no_stranger_when_another_goes_in_the_same_turn():
    server = Server("--leave-grace", "1s")
    neighbours = Neighbours(server)
    watcher = Client(server, "watcher", room="room")
    server.metrics()
    descriptors = server.descriptors()
    going = [Client(server, f"a{n}", room="room") for n in range(30)]
    for turn in range(20):
        # All that happens while the server stands still it hears in one go: what was said, the end of some, the coming
        # of others, and the end of some of these.
        server.stop()
        for n, person in enumerate(going):
            person.broadcast(f"{turn}:{n}")
            if n % 3 == 0:
                person.reset()
            elif n % 3 == 1:
                person.stream.close()
            else:
                person.send(frame(b"\x03\xe8", 8))
        streams = [connect(server.public) for _ in range(40)]
        for n, stream in enumerate(streams):
            stream.sendall(upgrade(f"/ws?user=b{n}") + frame(f'{{"type":"ping","id":{n}}}'))
            if n >= 30:
                reset(stream)
        server.go_on()
        coming = []
        for n, stream in enumerate(streams[:30]):
            person = Client.__new__(Client)
            person.name, person.seq, person.stream, person.data = f"b{n}", 0, stream, bytearray()
            while b"\r\n\r\n" not in person.data:
                person._more()
            del person.data[:person.data.index(b"\r\n\r\n") + 4]
            # Its own welcome and its own answer, and nothing of a room that it is not in.
            assert person.hear()["user_id"] == person.name
            assert person.hear()["id"] == n
            coming.append(person)
        for person in going[2::3]:
            assert person.code() == 1000
            person.stream.close()
        watcher.ping()
        neighbours.talk(2)
        for person in coming:
            person.join("room")
        going = coming
    for person in going:
        person.leave()
    watcher.leave()
    neighbours.leave()
    wait_until(lambda: server.is_empty(descriptors), "all is released")


@check(needs=["ss"], private=True)
def killed_connections_come_back_without_loss():
    server = Server("--leave-grace", "1s")
    neighbours = Neighbours(server)
    server.metrics()
    descriptors = server.descriptors()
    members = [Client(server, f"m{n}", room="members") for n in range(20)]
    speaker = Client(server, "speaker", room="members")
    speaker.broadcast("one")
    for member in members:
        member.hear_until(1)
    ports = [member.stream.getsockname()[1] for member in members]
    for port in ports:
        killed = subprocess.run(["ss", "-K", "-t", "sport", "=", str(server.public), "dport", "=", str(port)],
                                capture_output=True, text=True, check=True)
        if str(port) not in killed.stdout:
            raise Skip("ss -K kills nothing on this kernel")
    wait_until(lambda: server.metric('salon_closes_total{code="1006"}') == len(members), "all are seen to be gone")
    for n in range(2, 6):
        speaker.broadcast(str(n))
    back = [Client(server, member.name, room="members", since=member) for member in members]
    for member in back:
        assert member.recovered
        member.hear_until(5)
    # Nobody was told that they had left: they were back within the grace, which has not begun anew for anybody.
    for person in back:
        person.leave()
    speaker.hear_until(5)
    left = {speaker.hear_type("user_left")["user_id"] for _ in back}
    assert left == {member.name for member in members}
    speaker.leave()
    neighbours.talk()
    neighbours.leave()
    wait_until(lambda: server.is_empty(descriptors), "all is released")


@check(needs=["nft"], private=True)
def a_peer_that_vanishes_is_missed_soon_and_misses_nothing():
    server = Server("--ping-after", "1s", "--pong-within", "1s", "--close-within", "1s", "--leave-grace", "1s")
    subprocess.run(["nft", "-f", "-"], check=True, text=True, input="""
        table inet faults {
            set gone { type inet_service; }
            chain out {
                type filter hook output priority 0;
                tcp sport @gone drop
                tcp dport @gone drop
            }
        }
        """)
    speaker = Client(server, "speaker", room="tunnel")
    server.metrics()
    descriptors = server.descriptors()
    # Nothing more comes from them and nothing reaches them: while nobody speaks, and while somebody does.
    for speaks, reasons in ((False, ("no_pong",)), (True, ("outbox_bytes", "blocked_time"))):
        lost = [Client(server, f"m{n}-{speaks}", room="tunnel") for n in range(5)]
        speaker.broadcast("one")
        for member in lost:
            member.hear_until(member.joined_at + 1)
        ports = ",".join(str(member.stream.getsockname()[1]) for member in lost)
        subprocess.run(["nft", "add", "element", "inet", "faults", "gone", f"{{ {ports} }}"], check=True)
        missed = set()
        while len(missed) < len(lost):
            if speaks:
                speaker.broadcast("does anybody hear me? " + 1000 * "x")
            message = speaker.hear_type("broadcast", "user_left")
            if message["type"] == "user_left":
                missed.add(message["user_id"])
        speaker.ping()
        wait_until(lambda: server.descriptors() <= descriptors, "their descriptors are released")
        metrics = server.metrics()
        cut = sum(metrics[f'salon_cut_off_total{{reason="{reason}"}}'] for reason in reasons)
        assert cut == len(lost), metrics
        subprocess.run(["nft", "flush", "set", "inet", "faults", "gone"], check=True)
        for member in lost:
            back = Client(server, member.name)
            back.resume("tunnel", member.epoch, member.seq)
            back.leave()
    server.lives()


@check(needs=["strace"])
def a_failing_write_or_read_ends_one_connection():
    server = Server("--leave-grace", "1s")
    neighbours = Neighbours(server)
    neighbours.talk()
    server.metrics()
    descriptors = server.descriptors()
    faults = [f"{call}:error={error}:when=1" for error in ("EPIPE", "ECONNRESET", "ETIMEDOUT", "ENOMEM", "ENOBUFS", "EIO")
              for call in ("sendto", "writev")]
    faults += [f"recvfrom:error={error}:when=1" for error in ("ECONNRESET", "ETIMEDOUT", "ENOMEM", "EIO", "ENOTCONN")]
    faults += [f"shutdown:error={error}:when=1" for error in ("ENOTCONN", "EINVAL")]
    broken = 0
    for fault in faults:
        victim = Client(server, "victim", room="a")
        victim.join("b")
        with injected(server, fault):
            # One room is written with one write, two in one turn by writev.
            two = [frame(f'{{"type":"broadcast","room_id":"{room}","content":"x"}}') for room in "ab"]
            call = fault.split(":")[0]
            try:
                if call == "shutdown":
                    victim.send(frame(b"\x03\xe8", 8))
                for _ in range(100):  # those that come before strace is there are heard
                    if call != "shutdown":
                        victim.send(two[0] if call == "sendto" else b"".join(two))
                    victim.data.clear()
                    victim._more()
            except (Closed, ConnectionError):
                broken += 1
        victim.stream.close()
        neighbours.talk(6)
    neighbours.talk()
    wait_until(lambda: server.descriptors() <= descriptors, "all is released")
    neighbours.leave()
    wait_until(lambda: server.is_empty(descriptors), "all is released")
    assert broken == len(faults), f"{broken} of {len(faults)} faults ended a connection"


@check(needs=["strace"])
def interrupted_calls_are_made_again():
    server = Server()
    neighbours = Neighbours(server)
    calls = ("recvfrom", "sendto", "writev", "epoll_wait", "epoll_pwait", "accept4")
    with injected(server, *(f"{call}:error=EINTR:when=1+2" for call in calls)):
        neighbours.talk(100)
        guest = Client(server, "guest", room="neighbours")
        guest.leave()
        assert get(server.public, "/")[0] == 200
    neighbours.talk()
    server.lives()


@check()
def a_storm_of_signals_interrupts_nobody():
    server = Server()
    neighbours = Neighbours(server)
    # A signal that stops and one that goes on: each ends whatever wait there is (EINTR).
    for _ in range(300):
        server.signal("STOP")
        server.signal("CONT")
        neighbours.talk(2)
        server.signal("HUP")
    neighbours.talk()
    server.lives()


@check(needs=["strace"])
def a_poller_that_fails_ends_it_with_a_sentence():
    for name in ("EBADF", "EINVAL", "ENOMEM"):
        server = Server()
        client = Client(server, "client")
        with injected(server, f"epoll_wait:error={name}", f"epoll_pwait:error={name}"):
            def ended():
                try:
                    client.say(type="ping")
                except OSError:
                    pass
                return server.process.poll() is not None
            wait_until(ended, "it ends")
        assert server.process.returncode == 1, server.process.returncode
        wait_until(lambda: any(line.startswith("salon: ") for line in server.errors), f"it says why: {server.errors}")


def slicing(folder):
    """A library that cuts what sockets take and give into single bytes; see slices.c."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Skip("no C compiler")
    library = os.path.join(folder, "slices.so")
    made = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "slices.c"), "-ldl"],
                          capture_output=True, text=True)
    if made.returncode:
        raise Skip(f"slices.c cannot be compiled: {made.stderr}")
    return library


@check()
def slices_of_one_byte_change_nothing():
    with tempfile.TemporaryDirectory() as folder:
        marks = os.path.join(folder, "cut")
        server = Server(environment={"LD_PRELOAD": slicing(folder), "SLICES_MARK": marks})
        neighbours = Neighbours(server)
        neighbours.talk(50)
        page = get(server.public, "/client.js")
        client = Client(server, "client", room="a")
        client.join("b")
        client.seq = 0
        client.room = "a"
        long = "".join(random.choice("abc") for _ in range(5000))
        for _ in range(3):
            client.broadcast(long)
            assert client.hear_type("broadcast")["content"] == long
        # Many at once, one read and one write for each byte of them.
        client.send(b"".join(frame(f'{{"type":"ping","id":{n}}}') for n in range(100)))
        for n in range(100):
            assert client.hear_type("pong")["id"] == n
        client.leave()
        neighbours.talk()
        neighbours.leave()
        wait_until(server.is_empty, "all is released")
        if not os.path.exists(marks):
            raise Skip("the library was not loaded; is the binary static?")
    other = Server()
    assert get(other.public, "/client.js") == page


@check()
def a_side_that_is_shut_down_still_gets_its_answers():
    server = Server()
    neighbours = Neighbours(server)
    server.metrics()
    descriptors = server.descriptors()
    for path in ("/", "/client.js", "/health"):
        stream = connect(server.public)
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stream.shutdown(socket.SHUT_WR)
        data = b""
        while got := stream.recv(1 << 16):
            data += got
        stream.close()
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and body == get(server.public, path)[1], path
    client = Client(server, "client", room="half")
    for n in range(50):
        client.broadcast(str(n))
    client.stream.shutdown(socket.SHUT_WR)
    client.hear_until(50)
    assert client.code() in (None, 1000, 1005)
    client.stream.close()
    neighbours.talk()
    wait_until(lambda: server.descriptors() <= descriptors, "all is released")


@check()
def a_killed_server_begins_a_new_epoch_and_says_so():
    server = Server()
    client = Client(server, "client", room="den")
    for n in range(100):
        client.broadcast(str(n))
    client.hear_until(10)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert client.code() is None
    again = Server(public=server.public)
    back = Client(again, "client")
    back.room = "den"
    back.say(type="join", room_id="den", since={"epoch": client.epoch, "seq": client.seq})
    joined = back.hear_type("joined")
    assert not joined["recovered"] and joined["epoch"] != client.epoch and joined["seq"] == 0, joined
    back.broadcast("a new life")
    back.hear_until(1)
