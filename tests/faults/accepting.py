"""Connections cannot be taken in: no descriptors, no memory, gone before they are taken."""

import resource
import time

from harness import Client, Neighbours, Server, check, connect, get, injected, read_response, wait_until

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def ask(server):
    """A connection that waits to be let in and has asked already."""
    stream = connect(server.public)
    stream.sendall(REQUEST)
    return stream


def answered(stream):
    with stream, stream.makefile("rb") as file:
        return read_response(file)[0] == 200


def turns(server):
    return server.metric("salon_turn_seconds_count")


@check()
def without_descriptors_it_neither_spins_nor_forgets_who_waits():
    server = Server()
    neighbours = Neighbours(server)
    neighbours.talk()
    server.metrics()
    limit = server.descriptors() + 4
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    silent = [connect(server.public) for _ in range(40)]
    waiting = [ask(server) for _ in range(20)]
    wait_until(lambda: server.descriptors() >= limit, "all descriptors are used")
    wait_until(lambda: any("connections cannot be accepted" in line for line in server.errors), "it is logged")
    before, since = turns(server), time.monotonic()
    while time.monotonic() < since + 1.5:
        time.sleep(0.1)
    asked = 1
    per_second = (turns(server) - before - asked) / (time.monotonic() - since)
    assert per_second < 20, f"{per_second} turns a second"
    assert server.metric('salon_connections_failed_total{what="accept"}') > 0
    neighbours.talk()
    # More descriptors, or connections that end: everybody who waits is let in.
    for stream in silent[:30]:
        stream.close()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
    assert all(answered(stream) for stream in waiting)
    for stream in silent:
        stream.close()
    neighbours.talk()
    neighbours.leave()
    wait_until(server.is_empty, "all is released")
    assert sum("connections cannot be accepted" in line for line in server.errors) == 1, "logged once"
    return f"{per_second:.0f} turns a second while there are none"


@check(needs=["strace"])
def accepting_fails_in_every_way():
    server = Server()
    neighbours = Neighbours(server)
    for name in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTO", "EPERM", "ENETDOWN", "ETIMEDOUT"):
        with injected(server, f"accept4:error={name}") as strace:
            waiting = [ask(server) for _ in range(5)]
            neighbours.talk(6)
            assert strace.poll() is None
        assert all(answered(stream) for stream in waiting), name
    # One connection is gone before it is taken; the next may be well.
    for name in ("ECONNABORTED", "EINTR"):
        with injected(server, f"accept4:error={name}:when=1..3"):
            waiting = [ask(server) for _ in range(5)]
            assert all(answered(stream) for stream in waiting), name
            neighbours.talk(6)
    server.lives()


@check(needs=["strace"])
def a_connection_that_cannot_be_watched_is_dropped_alone():
    server = Server()
    neighbours = Neighbours(server)
    server.metrics()
    before = server.descriptors()
    for name in ("ENOSPC", "ENOMEM"):
        with injected(server, f"epoll_ctl:error={name}:when=1"):
            lost = 0
            while lost == 0:  # the first that is taken in once strace is there
                stream = connect(server.public)
                try:
                    stream.sendall(REQUEST)
                    lost = not stream.recv(1)
                except (ConnectionResetError, BrokenPipeError):
                    lost = 1
                stream.close()
            assert answered(ask(server))
            neighbours.talk()
    wait_until(lambda: server.descriptors() <= before, "descriptors are released")
    assert any("cannot watch a connection" in line for line in server.errors)


@check()
def a_full_house_says_so_and_has_room_again():
    server = Server("--max-connections", "20")
    neighbours = Neighbours(server)
    people = [Client(server, f"p{n}", room="full") for n in range(18)]
    wait_until(lambda: get(server.public, "/health")[0] == 503, "the house is full")
    neighbours.talk()
    people.pop().leave()
    wait_until(lambda: get(server.public, "/health")[0] == 200, "there is room again")
    neighbours.talk()
