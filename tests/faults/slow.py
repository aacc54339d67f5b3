"""Clients that are slow, stopped, silent, or too loud; their neighbours must not notice."""

import os
import signal
import time

from harness import Client, Closed, Neighbours, Server, check, connect, frame, upgrade, wait_until


class Elsewhere:
    """A client in a process of its own, which can be stopped. It hears until its room's `last` message, or its end."""

    def __init__(self, server, name, room, last):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            words = "nothing"
            try:
                client = Client(server, name, receive_buffer=8192, room=room)
                os.write(writing, b"in\n")
                client.hear_until(last)
                words = f"all {client.seq} {client.epoch}"
            except Closed as closed:
                words = f"closed {closed.code} {client.seq} {client.epoch}"
            except BaseException as error:
                words = f"broken {error}"
            os.write(writing, words.encode() + b"\n")
            os._exit(0)
        os.close(writing)
        self.says = os.fdopen(reading)
        assert self.says.readline() == "in\n"

    def signal(self, name):
        os.kill(self.pid, getattr(signal, f"SIG{name}"))


@check()
def a_client_that_is_stopped_for_a_while_misses_nothing():
    server = Server("--history", "10000", "--blocked-within", "1h")
    neighbours = Neighbours(server)
    speaker = Client(server, "speaker", room="hot")
    stopped = Elsewhere(server, "stopped", "hot", 2000)
    stopped.signal("STOP")
    for n in range(1999):
        speaker.broadcast(f"{n} " + "x" * 8000)
        speaker.hear_type("broadcast")
        if n % 100 == 0:
            neighbours.talk(4)
    metrics = server.metrics()
    assert metrics["salon_left_behind_total"] == 1, metrics
    held = metrics['salon_memory_bytes{purpose="outboxes"}']
    assert held <= 200_000, held
    stopped.signal("CONT")
    speaker.broadcast("the last")
    words = stopped.says.readline()
    assert words.startswith("all 2000 "), words
    return f"{held:.0f} bytes held for a client that was sent 16 MB"


@check()
def a_client_that_is_stopped_for_too_long_is_cut_off_and_told_so():
    server = Server("--blocked-within", "1s", "--close-within", "1h", "--history", "10000")
    neighbours = Neighbours(server)
    speaker = Client(server, "speaker", room="hot")
    stopped = Elsewhere(server, "stopped", "hot", 1 << 30)
    stopped.signal("STOP")
    cut = 'salon_cut_off_total{reason="blocked_time"}'
    said = 0
    while server.metric(cut) == 0:
        for _ in range(20):
            speaker.broadcast(f"{said} " + "x" * 8000)
            speaker.hear_type("broadcast")
            said += 1
        neighbours.talk(4)
    stopped.signal("CONT")
    word, code, seq, epoch = stopped.says.readline().split()
    assert (word, code) == ("closed", "1013"), (word, code)
    # What it had not had it gets when it comes back: all, or the newest of it and the name of the hole.
    back = Client(server, "stopped")
    back.resume("hot", epoch, int(seq))
    assert back.seq == said
    neighbours.talk()
    return f"cut off after {said} messages of 8 KB, of which it had read {seq}"


@check()
def a_reader_of_20_kb_a_second_is_not_cut_off():
    server = Server("--history", "10000", "--blocked-within", "1s")
    neighbours = Neighbours(server)
    speaker = Client(server, "speaker", room="hot")
    slow = Client(server, "slow", receive_buffer=8192, room="hot")

    def speak():
        speaker.broadcast("x" * 8000)
        speaker.hear_type("broadcast")

    # More than the kernel keeps for it, and then on, four times as fast as it reads: the poller is silent about its
    # socket for longer than a socket may take nothing.
    while server.metric("salon_left_behind_total") == 0:
        speak()
    until = time.monotonic() + 8
    while time.monotonic() < until:
        time.sleep(0.1)
        slow.data += slow.stream.recv(2000)
        speak()
        neighbours.talk(2)
    metrics = server.metrics()
    assert metrics['salon_cut_off_total{reason="blocked_time"}'] == 0, metrics
    slow.hear_until(speaker.seq)
    neighbours.talk()
    slow.leave()


@check()
def a_reader_of_a_byte_at_a_time_gets_whole_frames_in_order():
    server = Server("--outbox-bytes", "16MiB")
    neighbours = Neighbours(server)
    speaker = Client(server, "speaker", room="hot")
    slow = Client(server, "slow", receive_buffer=2304, room="hot")
    for n in range(200):
        speaker.broadcast(f"{n} " + "x" * (n * 7 % 1000))
        speaker.hear_type("broadcast")
    take = slow.stream.recv
    for seq in range(1, 201):
        while slow.seq < seq:
            slow.data += take(1)
            # What is there whole is heard; a frame that is not whole is waited for byte by byte.
            if len(slow.data) >= 2 and whole(slow.data):
                slow.hear_type("broadcast", "user_joined", "online_users")
    neighbours.talk()
    slow.leave()


def whole(data):
    length, start = data[1] & 0x7F, 2
    if length == 126:
        if len(data) < 4:
            return False
        length, start = int.from_bytes(data[2:4], "big"), 4
    return len(data) >= start + length


@check()
def a_client_that_asks_too_slowly_or_not_at_all_is_sent_away():
    server = Server("--head-within", "1s", "--message-within", "1s", "--close-within", "1s")
    neighbours = Neighbours(server)
    server.metrics()
    descriptors = server.descriptors()
    silent = [connect(server.public) for _ in range(50)]
    trickling = connect(server.public)
    trickling.settimeout(0.1)
    data = iter(upgrade("/ws?user=trickle" + 2000 * "e"))
    ended = False
    while not ended:  # a byte whenever there has been a tenth of a second of silence
        try:
            trickling.sendall(bytes([next(data)]))
            ended = not trickling.recv(1)
        except TimeoutError:
            pass
        except OSError:
            ended = True
    trickling.close()
    for stream in silent:
        assert not stream.recv(1)
        stream.close()
    metrics = server.metrics()
    assert metrics['salon_cut_off_total{reason="no_request"}'] >= 51, metrics
    amid = Client(server, "amid")
    amid.send(frame("never", final=False))
    assert amid.code() == 1008
    amid.stream.close()
    # A Close that is never answered ends all the same.
    rude = Client(server, "rude")
    rude.send(frame(b"x", 3))
    assert rude.code() == 1002
    wait_until(lambda: server.metric("salon_connections") <= 4, "the rude one is gone")
    rude.stream.close()
    neighbours.talk()
    wait_until(lambda: server.descriptors() <= descriptors, "all is released")


@check()
def one_who_floods_costs_the_others_nothing():
    server = Server("--rate", "200:400", settings=["--log", "warn"])
    neighbours = Neighbours(server)
    pid = os.fork()
    if pid == 0:
        try:
            flood = Client(server, "flood", room="flood")
            flood.stream.setblocking(False)
            data = frame('{"type":"broadcast","room_id":"flood","content":"x"}') * 100
            while True:
                for do in (lambda: flood.stream.send(data), lambda: flood.stream.recv(1 << 16)):
                    try:
                        do()
                    except BlockingIOError:
                        pass
        except BaseException:
            os._exit(0)
    try:
        wait_until(lambda: server.metric("salon_rate_limited_total") > 1000, "the flood is there")
        # At a rate that is theirs.
        for _ in range(10):
            neighbours.talk(20)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    server.lives()
