"""The checks of this folder, one after the other; see run.sh."""

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
import urllib.request
from types import SimpleNamespace

import harness
from harness import Client, Server, wait_until
from rediss import Redis, free_port

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def node(redis, *more):
    return Server(*more, environment={"SALON_STORE": f"redis://127.0.0.1:{redis.port}"})


def call(server, name, **body):
    """A call of the operator on that node."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.admin}/api/{name}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=harness.PATIENCE) as answer:
        return json.loads(answer.read())


def says(client, content, **more):
    """Says something, again and again while the store is down, and returns its number."""
    until = time.monotonic() + harness.PATIENCE
    while True:
        client.say(type="broadcast", room_id=client.room, content=content, id=content, **more)
        while True:
            heard = client.hear()
            if heard["type"] == "error":
                assert heard["code"] == "backend_down", heard
                break
            if heard["type"] in ("ack", "broadcast") and heard.get("id") == content:
                return heard["seq"]
        assert time.monotonic() < until, "the store does not come back"
        time.sleep(0.1)


def hears(client, *contents):
    for content in contents:
        heard = client.hear_type("broadcast")
        assert heard["content"] == content, f"{client.name} waits for {content!r} and heard {heard}"


@check
def what_is_said_on_one_node_is_heard_on_all_in_one_order(redis):
    nodes = [node(redis) for _ in range(3)]
    people = [Client(server, f"user{n}", room="den") for n, server in enumerate(nodes)]
    orders = [[] for _ in people]
    for n in range(50):
        for client in people:
            client.broadcast(f"{client.name} {n}")
    for client, order in zip(people, orders):
        while len(order) < 150:  # that numbers have no hole is seen to by the client
            order.append(client.hear_type("broadcast")["content"])
    assert orders[0] == orders[1] == orders[2]


@check
def history_marks_edits_and_since_are_the_same_on_another_node(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for content in "abc":
        says(ann, content)
        hears(bob, content)
    bob.say(type="edit", id="e", room_id="den", of=1, content="mine")
    refused = bob.hear_type("error")
    assert refused["code"] == "forbidden", refused
    ann.say(type="edit", id="e", room_id="den", of=1, content="A")
    assert bob.hear_type("edited")["content"] == "A"
    bob.say(type="react", id="r", room_id="den", of=2, emoji=":wave:", on=True)
    ann.hear_type("reaction")
    bob.say(type="read", id="m", room_id="den", seq=3)
    wait_until(lambda: bob.hear().get("id") == "m", "the mark is taken")
    bob.stream.close()
    # On the other node than before.
    bob = Client(one, "bob")
    bob.say(type="join", room_id="den", since={"epoch": ann.epoch, "seq": 2})
    joined = bob.hear_type("joined")
    assert (joined["recovered"], joined["seq"], joined["read"]) == (True, 5, 3), joined
    bob.seq = 2
    heard = [bob.hear() for _ in range(3)]
    assert [it["seq"] for it in heard] == [3, 4, 5], heard
    cat = Client(other, "cat", room="den")
    cat.say(type="history", id="h", room_id="den")
    items = cat.hear_type("history")["items"]
    assert [it["content"] for it in items] == ["A", "b", "c"] and items[1]["reactions"][0]["users"] == ["bob"], items


@check
def a_retry_on_the_other_node_is_the_same_message(redis):
    one, other = node(redis), node(redis)
    ann = Client(one, "ann", room="den")
    seq = says(ann, "once")
    again = Client(other, "ann", room="den")
    again.say(type="broadcast", room_id="den", content="once", id="once")
    ack = again.hear_type("ack")
    assert (ack["seq"], ack.get("dup")) == (seq, True), ack


@check
def a_direct_message_reaches_devices_on_every_node(redis):
    one, other = node(redis), node(redis)
    ann, bob, ann2 = Client(one, "ann", room="den"), Client(other, "bob", room="den"), Client(other, "ann", room="den")
    # Each node knows of the other's people by and by.
    for n in range(3):
        ann.say(type="direct", id=f"d{n}", user_id="bob", content=f"psst {n}")
        assert bob.hear_type("direct")["content"] == f"psst {n}"
        assert ann2.hear_type("direct")["content"] == f"psst {n}"
    bob.say(type="direct", id="back", user_id="ann", content="what?")
    assert ann.hear_type("direct")["content"] in ("psst 0", "psst 1", "psst 2", "what?")
    while ann2.hear_type("direct")["content"] != "what?":
        pass
    bob.say(type="conversations", id="c")
    talks = bob.hear_type("conversations")
    assert [talk["user_id"] for talk in talks["conversations"]] == ["ann"], talks


@check
def a_ban_holds_on_every_node_and_is_lifted_on_every_node(redis):
    one, other = node(redis), node(redis)
    eve = Client(other, "eve", room="den")
    call(one, "ban", user_id="eve")
    assert eve.code() is not None
    wait_until(lambda: call(other, "bans")["count"] == 1, "the other node knows of it")
    later = node(redis)
    assert call(later, "bans")["count"] == 1
    call(later, "unban", user_id="eve")
    wait_until(lambda: call(one, "bans")["count"] == call(other, "bans")["count"] == 0, "it is lifted everywhere")


def asks(client, answer, **question):
    client.say(id="asked", **question)
    while True:
        heard = hear_any(client)
        if heard["type"] == answer and heard.get("id") == "asked":
            return heard


def members(client):
    answer = asks(client, "members", type="members", room_id=client.room)
    assert answer["count"] == len(answer["members"]), answer
    return sorted(member["user_id"] for member in answer["members"])


def sees(client, *names):
    """Waits until the client's node has these in the room, and online."""
    wait_until(lambda: members(client) == sorted(names), f"{client.name} sees {names}")
    online = asks(client, "online", type="online")["users"]
    assert set(names) <= set(online), online


@check
def members_and_presence_are_the_same_on_every_node(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for client in (ann, bob):
        sees(client, "ann", "bob")
    ann.say(type="presence", user_ids=["bob"], subscribe=True)
    ann.hear_type("presence_state")
    bob.say(type="status", status="busy", note="at work")
    heard = ann.hear_type("presence")
    assert (heard["user_id"], heard["status"], heard["note"]) == ("bob", "busy", "at work"), heard
    # One who comes now, and one more device of bob's there.
    later = node(redis)
    cat, bob2 = Client(later, "cat", room="den"), Client(later, "bob", room="den")
    for client in (ann, bob, cat):
        sees(client, "ann", "bob", "cat")
    view = lambda: asks(ann, "presence_state", type="presence", user_ids=["bob"])["users"]["bob"]
    wait_until(lambda: view() == {"status": "busy", "devices": 2, "note": "at work"}, "both devices are seen")
    # A move to another node is none.
    bob2.stream.close()
    wait_until(lambda: view()["devices"] == 1, "one is closed")
    bob.stream.close()
    bob = Client(one, "bob", room="den")
    quiet = [it["type"] for it in heard_within(ann, 7)]
    assert not {"user_left", "presence", "user_joined"} & set(quiet), quiet
    sees(cat, "ann", "bob", "cat")


@check
def people_of_a_node_that_is_killed_have_left_within_fifteen_seconds(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    sees(ann, "ann", "bob")
    other.process.kill()
    began = time.monotonic()
    assert ann.hear_type("user_left")["user_id"] == "bob"
    took = time.monotonic() - began
    assert took < 16, took
    sees(ann, "ann")


@check
def a_node_that_was_frozen_past_its_lease_enters_its_people_anew(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    sees(ann, "ann", "bob")
    other.stop()
    assert ann.hear_type("user_left")["user_id"] == "bob"
    other.go_on()
    assert ann.hear_type("user_joined")["user_id"] == "bob"
    sees(ann, "ann", "bob")
    sees(bob, "ann", "bob")


@check
def redis_that_is_restarted_makes_nobody_leave(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    sees(ann, "ann", "bob")
    redis.kill()
    redis.lose_its_file()
    redis.start()
    quiet = [it["type"] for it in heard_within(ann, 18)]
    assert not {"user_left", "user_joined"} & set(quiet), quiet
    # Both have written their boards anew: one who comes now sees both.
    cat = Client(node(redis), "cat", room="den")
    sees(cat, "ann", "bob", "cat")


def heard_within(client, seconds):
    """What a client hears in so many seconds, in which something must not happen."""
    heard, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        client.say(type="ping", id="still")
        while not heard or heard[-1]["type"] != "pong":
            heard.append(hear_any(client))
        heard.pop()
        time.sleep(0.2)
    return heard


@check
def words_that_are_not_kept_reach_people_on_the_other_node(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    sees(ann, "ann", "bob")
    ann.say(type="typing", room_id="den", typing=True)
    assert bob.hear_type("typing") == {"type": "typing", "room_id": "den", "user_id": "ann", "typing": True}
    says(ann, "done")
    assert bob.hear_type("typing")["typing"] is False
    hears(bob, "done")
    call(other, "broadcast", content="to all")
    for client in (ann, bob):
        heard = client.hear_type("broadcast")
        assert (heard["room_id"], heard["content"]) == ("*", "to all"), heard
    assert call(one, "kick", user_id="bob", room_id="den")["left"] == 1
    left = bob.hear_type("left")
    assert left["reason"] == "kicked", left
    assert call(one, "kick", user_id="bob")["closed"] == 1
    assert bob.code() == 4010


@check
def a_balancer_in_front_needs_no_sticky_sessions(redis):
    if not shutil.which("nginx"):
        return print("skipped - nginx is not installed", flush=True)
    nodes = [node(redis) for _ in range(2)]
    with open("../../docs/nodes.md") as docs:
        lines = docs.read().split("```nginx\n")[1].split("```")[0]
    port = free_port()
    for said, meant in (("10.0.0.1:8080", f"127.0.0.1:{nodes[0].public}"),
                        ("10.0.0.2:8080", f"127.0.0.1:{nodes[1].public}"), ("listen 80;", f"listen 127.0.0.1:{port};")):
        assert said in lines, said
        lines = lines.replace(said, meant)
    with open(f"{redis.folder}/nginx.conf", "w") as conf:
        temporary = "".join(f"{name}_temp_path {redis.folder}/{name};\n"
                            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write(f"daemon off;\nmaster_process off;\npid {redis.folder}/nginx.pid;\nerror_log stderr;\n"
                   f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{lines}}}\n")
    nginx = subprocess.Popen(["nginx", "-c", f"{redis.folder}/nginx.conf", "-p", redis.folder],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        front = SimpleNamespace(public=port)

        def answers():
            try:
                return harness.connect(port, patience=1)
            except OSError:
                return False

        wait_until(answers, "nginx answers")
        names = [f"user{n}" for n in range(6)]
        people = [Client(front, name, room="den") for name in names]
        sees(people[0], *names)
        assert all(server.metric("salon_sessions") > 0 for server in nodes), "one node has everybody"
        says(people[0], "hello")
        for client in people[1:]:
            assert client.hear_type("broadcast")["content"] == "hello"
        # One who comes back misses nothing, whichever node it is.
        for n in range(4):
            people[1].stream.close()
            says(people[0], f"{n}")
            people[1] = Client(front, "user1", since=people[1], room="den")
            assert people[1].recovered and people[1].hear_type("broadcast")["content"] == f"{n}"
    finally:
        nginx.kill()
        nginx.wait()


@check
def redis_is_spoken_to_by_tls_and_only_if_it_proves_who_it_is(redis):
    secure, authority = Redis.with_tls(), Redis.authority()
    environment = {"SALON_STORE": f"rediss://localhost:{secure.tls_port}", "SSL_CERT_FILE": authority}
    try:
        one, other = (Server(environment=environment) for _ in range(2))
        ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
        says(ann, "psst")
        hears(bob, "psst")
        # Without the authority it is not trusted.
        tried = subprocess.run([harness.SALON, "check"], capture_output=True, text=True, timeout=60, check=False,
                               env={**os.environ, "SALON_STORE": environment["SALON_STORE"]})
        told = tried.stdout + tried.stderr
        assert tried.returncode != 0 and "rediss://localhost" in told and "certificate" in told, told
    finally:
        secure.end()


@check
def a_password_that_was_changed_is_told_once_and_used_again_when_it_is_right(_):
    own = Redis()
    try:
        own.call("ACL", "SETUSER", "salon", "on", ">first", "~*", "&*", "+@all")
        server = Server(environment={"SALON_STORE": f"redis://salon:first@127.0.0.1:{own.port}"})
        ann = Client(server, "ann", room="den")
        says(ann, "a")
        own.call("ACL", "SETUSER", "salon", "resetpass", ">second")
        own.call("CLIENT", "KILL", "USER", "salon")
        refused = lambda: (dict(zip(entry[::2], entry[1::2])) for entry in own.call("ACL", "LOG"))
        wait_until(lambda: sum(one["count"] for one in refused() if one["username"] == "salon") >= 6, "both connections are tried anew")
        told = [line for line in server.errors if "the user or the password is wrong" in line]
        assert 1 <= len(told) <= 2 and not any("first" in line for line in server.errors), server.errors
        own.call("ACL", "SETUSER", "salon", ">first")
        assert says(ann, "b") == 2
    finally:
        own.end()


@check
def redis_killed_and_started_with_its_file_keeps_the_history_and_gives_no_number_twice(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for content in "abc":
        says(ann, content)
    bob.hear_until(3)
    epoch = ann.epoch
    redis.kill()
    ann.say(type="broadcast", id="no", room_id="den", content="no")
    refused = ann.hear_type("error")
    assert refused["code"] == "backend_down", refused
    for server in (one, other):
        assert harness.get(server.admin, "/readyz")[0] == 200
    redis.start()
    told = says_through_another_life(ann, "d")
    assert told == 4, told
    told = [it for it in listen(bob, lambda it: it.get("content") == "d")]
    joined = next(it for it in told if it["type"] == "joined")
    assert joined["epoch"] != epoch and joined["recovered"] is False, told
    cat = Client(one, "cat")
    cat.say(type="join", room_id="den", history=50)
    assert cat.hear_type("joined")["seq"] == 4
    hears(cat, "a", "b", "c", "d")


@check
def redis_that_has_lost_all_begins_a_new_epoch_and_those_inside_hear_of_it(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for content in "abc":
        says(ann, content)
    bob.hear_until(3)
    redis.kill()
    redis.lose_its_file()
    redis.start()
    assert says_through_another_life(ann, "d") == 1
    joined = next(it for it in listen(bob, lambda it: it.get("content") == "d") if it["type"] == "joined")
    assert joined["epoch"] != ann.epoch


@check
def flushall_begins_a_new_epoch(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    says(ann, "a")
    bob.hear_until(1)
    redis.call("FLUSHALL")
    assert says_through_another_life(ann, "b") == 1
    joined = next(it for it in listen(bob, lambda it: it.get("content") == "b") if it["type"] == "joined")
    assert joined["epoch"] != ann.epoch


@check
def script_flush_is_not_noticed(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for content in "abc":
        redis.call("SCRIPT", "FLUSH")
        ann.broadcast(content)
        hears(ann, content)
        hears(bob, content)


@check
def a_channel_that_is_cut_loses_nothing(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for n in range(100):
        if n % 20 == 7:
            wait_until(lambda: redis.call("CLIENT", "KILL", "TYPE", "pubsub") >= 1, "a channel is cut")
        ann.broadcast(f"{n}")
        hears(ann, f"{n}")
    hears(bob, *(f"{n}" for n in range(100)))
    # The last word before a silence, too.
    redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    ann.broadcast("last")
    hears(bob, "last")


@check
def all_connections_cut_again_and_again(redis):
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    for n in range(20):
        if n % 5 == 2:
            redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        says(ann, f"{n}")
    hears(bob, *(f"{n}" for n in range(20)))


@check
def redis_frozen_for_five_seconds_refuses_at_once_and_goes_on(redis):
    import threading
    one, other = node(redis), node(redis)
    ann, bob = Client(one, "ann", room="den"), Client(other, "bob", room="den")
    says(ann, "before")
    hears(bob, "before")
    frozen = threading.Thread(target=redis.freeze, args=(5,))
    frozen.start()
    time.sleep(0.2)
    began = time.monotonic()
    ann.say(type="broadcast", id="no", room_id="den", content="no")
    heard = ann.hear_type("error", "broadcast")
    took = time.monotonic() - began
    assert heard["type"] == "error" and heard["code"] == "backend_down" and took < 3, (heard, took)
    frozen.join()
    says(ann, "after")
    # What was refused may have been carried out when Redis went on: then it is said once, before that.
    heard = [it["content"] for it in listen(bob, lambda it: it.get("content") == "after") if it["type"] == "broadcast"]
    assert heard in (["after"], ["no", "after"]), heard


def says_through_another_life(client, content):
    """Says something while the numbers begin anew, which the client may hear of before."""
    client.hear = lambda: hear_any(client)
    return says(client, content)


def hear_any(client):
    """The next message, whatever its number."""
    client.seq = NEVER_COUNTED
    return Client.hear(client)


class _Any(int):
    """A number that every number is the next of."""

    def __add__(self, other):
        return self

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = int.__hash__


NEVER_COUNTED = _Any(0)


def listen(client, until):
    """What it hears up to a message."""
    heard = []
    while not heard or not until(heard[-1]):
        heard.append(hear_any(client))
    return heard


def main():
    harness.SALON, wanted = sys.argv[1], sys.argv[2:]
    failed = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        if wanted and not any(part in check.__name__ for part in wanted):
            continue
        redis, began = Redis(), time.monotonic()
        try:
            check(redis)
            print(f"ok - {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:
            failed += 1
            at = traceback.extract_tb(error.__traceback__)
            at = next((frame for frame in reversed(at) if frame.filename.endswith("checks.py")), at[-1])
            print(f"not ok - {name}: {type(error).__name__}: {error} (line {at.lineno})", flush=True)
        finally:
            harness.end_all()
            redis.end()
    sys.exit(failed > 0)


main()
