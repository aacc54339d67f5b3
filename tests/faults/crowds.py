"""Many at once: everybody comes back after a restart, and a stop while everybody talks."""

import errno
import resource
import selectors
import socket
import threading
import time

from harness import Client, Closed, Neighbours, Server, Skip, check, frame, upgrade, wait_until

CROWD = 15_000


def come(port, count, room):
    """So many clients at once, each with its upgrade and `join` in one go; returns them when all have heard
    `joined`."""
    selector = selectors.DefaultSelector()
    people, waiting, joined = [], 0, 0
    until = time.monotonic() + 60
    todo = iter(range(count))
    left = count
    while joined < count:
        assert time.monotonic() < until, f"{joined} of {count} have joined"
        # As many connects under way as a backlog holds.
        while left and waiting < 2000:
            n = next(todo)
            left -= 1
            stream = socket.socket()
            stream.setblocking(False)
            # Loopback has more than one address: ports do not run out.
            stream.bind((f"127.0.0.{2 + n % 8}", 0))
            if stream.connect_ex(("127.0.0.1", port)) not in (0, errno.EINPROGRESS):
                raise OSError("cannot connect")
            selector.register(stream, selectors.EVENT_WRITE, [n, bytearray()])
            people.append(stream)
            waiting += 1
        for key, event in selector.select(1):
            stream, (n, heard) = key.fileobj, key.data
            if event & selectors.EVENT_WRITE:
                failed = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                assert not failed, f"connecting: {errno.errorcode[failed]}"
                stream.send(upgrade(f"/ws?user=p{n}") + frame(f'{{"type":"join","room_id":"{room}{n % 500}"}}'))
                selector.modify(stream, selectors.EVENT_READ, key.data)
            else:
                got = stream.recv(1 << 14)
                assert got, f"closed: {bytes(heard)!r}"
                heard += got
                if b'"type":"joined"' in heard:
                    selector.unregister(stream)
                    waiting -= 1
                    joined += 1
    return people


@check(alone=True)
def fifteen_thousand_come_back_at_once_after_a_restart():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < CROWD + 200:
        raise Skip(f"at most {limit} descriptors a process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    settings = ["--max-connections", str(CROWD + 100), "--stop-within", "5s"]
    server = Server(*settings)
    people = come(server.public, CROWD, "r")
    server.signal("TERM")
    for stream in people:
        stream.close()
    assert server.process.wait(30) == 0
    again = Server(*settings, public=server.public)
    since = time.monotonic()
    people = come(again.public, CROWD, "r")
    took = time.monotonic() - since
    assert again.metric("salon_sessions") == CROWD
    neighbours = Neighbours(again)
    neighbours.talk()
    neighbours.leave()
    for stream in people:
        stream.close()
    wait_until(again.is_empty, "all is released")
    return f"all are served after {took:.1f} s"


@check()
def a_stop_under_load_loses_nothing_that_was_answered():
    server = Server("--stop-within", "20s")
    people = [Client(server, f"p{n}", room="busy") for n in range(10)]
    heard = [[] for _ in people]
    codes = [None] * len(people)
    answered = [0] * len(people)

    def talk(at):
        person = people[at]
        try:
            person.broadcast("0")
            while True:
                message = person.hear_type("broadcast", "goodbye")
                if message["type"] == "goodbye":
                    continue
                heard[at].append((message["seq"], message["sender"], message["content"]))
                if message["sender"] == person.name:
                    answered[at] = message["seq"]
                    person.broadcast(str(len(heard[at])))
        except Closed as closed:
            codes[at] = closed.code
        except OSError:  # said something into a connection that is closed; what is there is heard first
            codes[at] = person.code()
        person.stream.close()

    threads = [threading.Thread(target=talk, args=(at,), daemon=True) for at in range(len(people))]
    for person in people:  # nobody is to hear the coming of others as a surprise
        person.ping()
    for thread in threads:
        thread.start()
    wait_until(lambda: min(len(messages) for messages in heard) > 1000, "everybody talks")
    server.signal("TERM")
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert codes == [1012] * len(people), codes
    longest = max(heard, key=len)
    for at, messages in enumerate(heard):
        assert messages == longest[:len(messages)]
    # Whatever anybody was answered, everybody has heard.
    assert min(len(messages) for messages in heard) >= max(answered), (answered, [len(m) for m in heard])
    assert server.process.wait(30) == 0
    return f"{len(longest)} messages"
