"""Time goes wrong: the process stands still for a while, or the wall clock jumps."""

import os
import subprocess
import tempfile
import time

import harness
from harness import Client, Neighbours, Server, Skip, check, connect, frame, read_response

STANDS = 3.5  # seconds that the server is stopped: longer than any deadline it has been given


@check()
def a_stopped_server_reads_before_it_expires():
    deadlines = [f"--{name}" for name in ("ping-after", "pong-within", "head-within", "message-within", "close-within",
                                          "blocked-within")]
    server = Server(*[word for name in deadlines for word in (name, "1s")], "--outbox-bytes", "16MiB")
    # Somebody who asks slowly, somebody amid a message, somebody for whom much waits, and somebody silent who answers
    # pings. Each does in time what they owe, and it is the server that is not there to see it.
    asking = connect(server.public)
    asking.sendall(b"GET /health HTTP/1.1\r\n")
    silent = Client(server, "silent")
    silent.ping()
    amid = Client(server, "amid", room="loud")
    deaf = Client(server, "deaf", receive_buffer=4096, room="loud")
    loud = Client(server, "loud", room="loud")
    said = 0
    while server.metric("salon_writes_blocked_total") == 0:
        loud.broadcast("x" * 16000)
        loud.hear_type("broadcast")
        said += 1
    for _ in range(50):
        loud.broadcast("y" * 16000)
        loud.hear_type("broadcast")
        said += 1
    amid.hear_until(said)
    amid.send(frame('{"type":"ping",', final=False))
    metrics = server.metrics()
    assert metrics["salon_sessions"] == 4, metrics
    server.stop()
    asking.sendall(b"Host: localhost\r\n\r\n")
    amid.send(frame('"id":7}', opcode=0))
    until = time.monotonic() + STANDS
    # Takes what the kernel has already, so that there is room when the server goes on.
    deaf.stream.settimeout(0.2)
    while time.monotonic() < until:
        try:
            deaf.data += deaf.stream.recv(1 << 16)
        except TimeoutError:
            pass
    deaf.stream.settimeout(30)
    server.go_on()
    deaf.hear_until(said)
    assert amid.hear_type("pong")["id"] == 7
    with asking.makefile("rb") as file:
        assert read_response(file)[0] == 200
    for person in (silent, amid, deaf, loud):
        person.ping()
    metrics = server.metrics()
    cut = {name: count for name, count in metrics.items() if name.startswith("salon_cut_off_total") and count}
    assert not cut and metrics["salon_sessions"] == 4, cut


@check()
def a_stopped_server_hears_a_token_before_it_is_too_late():
    secret = "0123456789abcdef0123456789abcdef"
    made = subprocess.run([harness.SALON, "token", "--sub", "alice"], capture_output=True, text=True, check=True,
                          env={**os.environ, "SALON_AUTH_SECRET": secret})
    server = Server("--auth", "jwt", environment={"SALON_AUTH_SECRET": secret})
    # A session has 10 s to say who it is; the token lies there in time, and the server is not there to hear it.
    alice, nobody = Client(server, "x"), Client(server, "y")
    server.stop()
    alice.say(type="auth", token=made.stdout.strip())
    until = time.monotonic() + 11
    while time.monotonic() < until:
        time.sleep(0.1)
    server.go_on()
    assert alice.hear()["type"] == "welcome"
    assert nobody.code() == 4001
    alice.ping()


def faketime():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        library = f"{folder}/faketime/libfaketime.so.1"
        if os.path.exists(library):
            return library
    raise Skip("libfaketime is not installed")


@check()
def a_wall_clock_that_jumps_moves_no_timer():
    with tempfile.NamedTemporaryFile("w") as clock:
        def jump(to):
            # In place and in one write: it is read at every look at the clock.
            os.pwrite(clock.fileno(), to.ljust(20).encode(), 0)

        jump("+0")
        server = Server("--ping-after", "1s", "--pong-within", "2s", "--history-age", "1d", "--leave-grace", "1h",
                        environment={"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": clock.name,
                                     "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                                     "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"})
        neighbours = Neighbours(server)
        neighbours.talk()
        stays, gone = Client(server, "stays", room="neighbours"), Client(server, "gone", room="neighbours")
        gone.reset()
        heard_at = []
        for days in (0, 400, -400, 3650, -20000, 0):
            jump(f"{days:+d}d")
            stays.say(type="ping")
            heard_at.append(stays.hear_type("pong")["ts"])
            neighbours.talk(10)
            # Half of an idle second, in which deadlines come: a ping is due to each who is silent.
            stays.stream.settimeout(harness.PATIENCE)
            pinged = False
            while not pinged:
                while len(stays.data) < 2 or stays.data[0] & 15 != 9:
                    if len(stays.data) >= 2:
                        stays._frame()
                    else:
                        stays._more()
                stays._frame()
                stays.send(frame(b"", 10))
                pinged = True
        real = time.time() * 1000
        jumped = [round((at - real) / 86_400_000) for at in heard_at]
        if jumped[1] != 400:
            raise Skip(f"libfaketime does not reach the clock of this binary: {jumped}")
        assert jumped[:4] == [0, 400, -400, 3650], jumped
        metrics = server.metrics()
        cut = {name: count for name, count in metrics.items() if name.startswith("salon_cut_off_total") and count}
        assert not cut, cut
        # Nothing has grown old, and nobody has been seen to leave: neither a day nor an hour has passed.
        late = Client(server, "late", room="neighbours", history=200)
        late.seq = 0
        late.hear_until(neighbours.said)
        late.say(type="members", room_id="neighbours")
        here = {member["user_id"]: member["devices"] for member in late.hear_type("members")["members"]}
        assert here["gone"] == 0 and here["stays"] == 1, here
        neighbours.talk()
        server.lives()
