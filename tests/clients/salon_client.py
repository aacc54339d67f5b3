"""The Python package `clients/python` against the binary: its promises over cuts at any byte, `kill -9`, ended tokens
and slow programs; its types, and the bot of its README.

    python salon_client.py SALON REPOSITORY [WORD_OF_A_ROW ..]

In an environment that has the package and mypy. It starts servers of its own on free loopback ports."""

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import typing
from pathlib import Path

import checks
import salon
from salon import answers
from salon.outbox import OUTBOX_MAX, REPEAT_WITHIN, SLOW_FOR, Outbox, Outgoing
from salon.queue import HARDER, EventQueue
from salon.rooms import Rooms
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

SALON, REPOSITORY = sys.argv[1], Path(sys.argv[2])
PACKAGE = REPOSITORY / "clients/python"
WAIT = 60  # seconds until something that must come is given up
FOLDER = tempfile.TemporaryDirectory()


def path(name):
    return str(Path(FOLDER.name, name))


ROWS = []


def row(check):
    ROWS.append(check)
    return check


def equal(found, expected, what):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


async def until(what, condition):
    end = asyncio.get_running_loop().time() + WAIT
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"waited in vain: {what}"
        await asyncio.sleep(0.01)


# Servers, and what stands before them -------------------------------------------------------------------------------


class Server:
    """A server that can be killed and started again on the same port, with the same file."""

    def __init__(self, *options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.options = options

    async def start(self):
        listen = ["--listen", f"127.0.0.1:{self.port}", "--admin", "off", "--log", "error"]
        with open(path("server.log"), "w") as log:
            self.process = subprocess.Popen([SALON, "serve", *listen, *self.options], stdout=log, stderr=log)
        await until("the server listens", self.listens)

    def listens(self):
        assert self.process.poll() is None, Path(path("server.log")).read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        if self.process.poll() is None:
            self.end()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/ws"


class Cuts:
    """Stands before a server, and ends each connection behind a number of bytes in either direction: wherever that is,
    in the head, in a frame, in a character. Once it is `healed` it ends none."""

    def __init__(self, server, seed, most):
        self.server, self.random, self.most = server, random.Random(seed), most
        self.cuts, self.healed, self.writers = 0, False, set()

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self.pair, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        for writer in self.writers:
            writer.transport.abort()

    async def pair(self, near_reader, near):
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.server.port)
        except OSError:
            return near.transport.abort()
        ends = {near, far}
        self.writers |= ends
        ways = [self.pass_on(near_reader, far), self.pass_on(far_reader, near)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for writer in ends:
            writer.close()  # what was passed on before the cut arrives
        await asyncio.gather(*tasks, return_exceptions=True)
        self.writers -= ends

    async def pass_on(self, reader, writer):
        left = self.random.randrange(self.most)
        while data := await reader.read(1 << 16):
            if not self.healed and len(data) > left:
                self.cuts += 1
                writer.write(data[:left])
                return
            left -= len(data)
            writer.write(data)


class Played:
    """A server that is played: `play(socket, n)` is what it does with the n-th connection, counted from 0."""

    def __init__(self, play, **options):
        self.play, self.options, self.heads = play, options, []

    async def __aenter__(self):
        self.server = await serve_websockets(self.talk, "127.0.0.1", 0, **self.options)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def talk(self, connection):
        self.heads.append(connection.request)
        try:
            await self.play(connection, len(self.heads) - 1)
        except ConnectionClosed:
            pass


class Hasty(random.Random):
    """Waits a hundredth of what a client waits."""

    def random(self):
        return super().random() / 100


class Person:
    """Somebody who writes down what is heard."""

    def __init__(self, url, user=None, **options):
        options = {"options": {"proxy": None}, "random": Hasty(), **options}
        self.chat, self.events = salon.Client(url, user=user, **options), []

    async def __aenter__(self):
        self.chat.connect()
        self.task = asyncio.ensure_future(self.listen())
        return self

    async def __aexit__(self, *_):
        await self.chat.close()
        await self.task

    async def listen(self):
        async for event in self.chat:
            self.events.append(event)

    @property
    def state(self):
        """The connection, as this person has heard of it."""
        return next((event.state for event in reversed(self.of(salon.State))), None)

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]


# What is installed --------------------------------------------------------------------------------------------------


@row
async def the_package_has_its_types_its_licences_and_one_dependency():
    from importlib.metadata import files, metadata, requires

    about = metadata("salon-client")
    cargo = (REPOSITORY / "Cargo.toml").read_text()
    field = lambda key: re.search(rf'^{key} = "(.*)"$', cargo, re.M)[1]
    equal([about["Version"], about["License-Expression"]], [field("version"), field("license")], "version and licence")
    equal([re.split("[><=]", name)[0] for name in requires("salon-client")], ["websockets"], "dependencies")
    names = {file.name for file in files("salon-client")}
    assert {"py.typed", "LICENSE-MIT", "LICENSE-APACHE"} <= names, names
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        equal((PACKAGE / name).read_bytes(), (REPOSITORY / name).read_bytes(), name)


def readme_bot():
    code = re.search(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.S)[1]
    Path(path("bot.py")).write_text(code)
    return code


@row
async def mypy_strict_finds_nothing_in_the_package_and_in_the_bot_of_its_readme():
    readme_bot()
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", path("mypy"), "-p", "salon"]
    for what in (command, [*command[:-2], path("bot.py")]):
        done = await asyncio.to_thread(subprocess.run, what, capture_output=True, text=True, cwd=FOLDER.name)
        equal(done.returncode, 0, done.stdout + done.stderr)


@row
async def the_bot_of_the_readme_answers_and_ends():
    lines = readme_bot().strip().splitlines()
    assert len(lines) <= 15, f"expected at most 15 lines, found {len(lines)}"
    async with Server("--store", "memory") as server, Person(server.url, "ada") as ada:
        ada.chat.join("lobby")
        command = [sys.executable, path("bot.py"), server.url, "lobby"]
        # In a shell's background SIGINT is ignored, by whatever is started there too.
        heeds = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        env = {**os.environ, "no_proxy": "*"}
        bot = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, preexec_fn=heeds)
        try:
            here = lambda: any(event.user_id == "robin" for event in ada.of(salon.UserJoined))
            await until(
                "the bot is there", lambda: here() or any("robin" in e.users for e in ada.of(salon.OnlineUsers))
            )
            ada.chat.say("lobby", "!hello")
            await until("it answers", lambda: len(ada.of(salon.Message)) == 2)
            asked, answer = ada.of(salon.Message)
            equal([answer.sender, answer.content, answer.reply_to], ["robin", "Hello, ada", asked.seq], "the answer")
            bot.send_signal(signal.SIGINT)
            await asyncio.to_thread(bot.communicate, timeout=60)
        finally:
            bot.kill()


# Nothing lost, nothing twice ----------------------------------------------------------------------------------------

MESSAGES = 120  # of each speaker


async def nothing_is_lost(url, trouble):
    """Speakers and listeners in a room, while `trouble` goes on; then all must have everything once and in order. The
    speakers edit every tenth message and react to it at once, before it is known to be said."""
    async with Person(url, "ada") as ada, Person(url, "bob") as bob, Person(url, "eve") as eve:
        everybody = [ada, bob, eve]
        for person in everybody:
            await person.chat.join("den", history=200)

        async def speak(person, at):
            for n in range(MESSAGES):
                await until("there is room on the outbox", lambda: len(person.chat.outbox) < 5)
                entry = person.chat.say("den", f"{at}:{n}")
                if n % 10 == 0:
                    seq = (await entry).seq
                    person.chat.edit(seq, f"{at}:{n}!", room_id="den")
                    person.chat.react(seq, "👍", room_id="den")
                person.chat.direct("eve", f"{at}:{n}")

        speaking = [asyncio.ensure_future(speak(person, at)) for at, person in enumerate((ada, bob))]
        await trouble(lambda: len(eve.of(salon.Message)))
        await asyncio.gather(*speaking)
        await until("everything is confirmed", lambda: not ada.chat.outbox and not bob.chat.outbox)
        entries = 2 * (MESSAGES + 2 * (MESSAGES // 10))
        in_room = lambda person: [
            event
            for event in person.of(salon.Message, salon.Edited, salon.Reaction, salon.Deleted)
            if event.room_id == "den"
        ]
        await until("everything is heard", lambda: all(len(in_room(person)) >= entries for person in everybody))
        for person in everybody:
            name = person.chat.user_id
            equal([event.seq for event in in_room(person)], list(range(1, entries + 1)), f"numbers that {name} hears")
            for at in (0, 1):
                heard = [event.content.rstrip("!") for event in person.of(salon.Message)]
                mine = [content for content in heard if content.startswith(f"{at}:")]
                equal(mine, [f"{at}:{n}" for n in range(MESSAGES)], f"what {name} hears of {at}")
            equal(person.of(salon.Gap), [], f"gaps of {name}")
            equal([event for event in person.of(salon.Joined) if event.reset], [], "rooms that begin anew")
        for at, person in enumerate((ada, bob)):
            equal(person.of(salon.Refused), [], "what is refused")
            sent = [event.entry.id for event in person.of(salon.Sent)]
            equal(len(sent), len(set(sent)), "what is confirmed twice")
            # What was written to eve, as the server has it: she may have been away when it was said.
            page = await eve.chat.history(user_id=person.chat.user_id, limit=200)
            equal(
                [item["content"] for item in page["items"]], [f"{at}:{n}" for n in range(MESSAGES)], "direct messages"
            )
        page = await eve.chat.history(room_id="den", limit=200)
        thumbs = [item for item in page["items"] if item.get("reactions")]
        assert thumbs and all(item["content"].endswith("!") and "edited" in item for item in thumbs), thumbs


@row
async def twenty_cuts_at_any_byte_lose_nothing_say_nothing_twice_and_keep_the_order():
    async with Server("--rate", "off", "--store", path("cut.db")) as server, Cuts(server, 7, 7_000) as cuts:

        async def trouble(count):
            await until("most was said", lambda: count() > 1.8 * MESSAGES)
            cuts.healed = True

        await nothing_is_lost(cuts.url, trouble)
        assert cuts.cuts >= 20, f"expected 20 cuts, found {cuts.cuts}"


@row
async def a_server_that_is_killed_three_times_loses_nothing_and_says_nothing_twice():
    async with Server("--rate", "off", "--store", path("killed.db")) as server:

        async def trouble(count):
            for part in (1, 2, 3):
                await until("some was said", lambda: count() > part * MESSAGES / 3)
                server.end()
                await server.start()

        await nothing_is_lost(server.url, trouble)


@row
async def a_server_that_stops_in_order_is_come_back_to_when_it_says():
    async with Server("--store", path("stopped.db")) as server, Person(server.url, "ada") as ada:
        await ada.chat.join("den")
        await ada.chat.say("den", "before")
        server.end(signal.SIGTERM)
        await until("it is waited", lambda: ada.state == "waiting")
        goodbye, waiting = ada.of(salon.Goodbye)[0], ada.of(salon.State)[-1]
        equal([goodbye.reason, goodbye.reconnect, waiting.code], ["shutdown", True, 1012], "the end")
        assert waiting.retry_in >= goodbye.after_ms / 1000, waiting
        await server.start()
        ada.chat.say("den", "while away")
        ada.chat.connect()  # ends the wait
        await until("it is said", lambda: [m.content for m in ada.of(salon.Message)] == ["before", "while away"])


@row
async def what_a_server_in_memory_has_forgotten_is_named():
    async with Server("--store", "memory") as server, Person(server.url, "ada") as ada:
        await ada.chat.join("den")
        seq = (await ada.chat.say("den", "forgotten")).seq
        server.end()
        await until("it is gone", lambda: ada.state == "waiting")
        ada.chat.say("den", "?", reply_to=seq)
        gone = ada.chat.delete(seq, room_id="den")
        await server.start()
        await until("the room begins anew", lambda: len(ada.of(salon.Joined)) == 2)
        joined = ada.of(salon.Joined)[1]
        equal([joined.reset, joined.recovered, joined.seq], [True, False, 0], "the room")
        try:
            await gone
        except salon.SalonError as error:
            equal(error.code, "epoch_changed", "a deletion of what is gone")
        await ada.chat.say("den", "new")
        heard = [(m.content, m.reply_to) for m in ada.of(salon.Message)]
        equal(heard, [("forgotten", None), ("?", None), ("new", None)], "messages")
        equal(ada.chat.position("den"), salon.Position(joined.epoch, 2), "the position")


@row
async def an_outbox_that_another_process_goes_on_with_is_done_once_also_what_was_done_already():
    async with Server("--store", path("outbox.db")) as server:
        async with Person(server.url, "ada") as ada:
            await ada.chat.join("den")
            had = ada.chat.say("den", "had already")
            await had
            waits = ada.chat.say("den", "on the way")
            kept = [had.saved(), waits.saved()]
        server.end()
        await server.start()
        async with Person(server.url, "ada", outbox=kept) as ada:
            ada.chat.join("den", history=10)
            await until("both are confirmed", lambda: not ada.chat.outbox)
            page = await ada.chat.history(room_id="den")
            equal([item["content"] for item in page["items"]], ["had already", "on the way"], "the history")
            equal([ada.of(salon.Refused), [e.duplicate for e in ada.of(salon.Sent)][:1]], [[], [True]], "what is told")


@row
async def a_program_goes_on_where_another_stopped():
    async with Server("--store", path("position.db")) as server, Person(server.url, "bob") as bob:
        await bob.chat.join("den")
        async with Person(server.url, "ada") as ada:
            await ada.chat.join("den")
            await bob.chat.say("den", "1")
            await until("it is heard", lambda: len(ada.of(salon.Message)) == 1)
            position = ada.chat.position("den")
        await bob.chat.say("den", "2")
        async with Person(server.url, "ada") as ada:
            joined = await ada.chat.join("den", since=position)
            await until("it is heard", lambda: ada.of(salon.OnlineUsers))
            heard = [(m.content, m.replayed) for m in ada.of(salon.Message)]
            equal([heard, joined.recovered, joined.first], [[("2", True)], True, False], "the replay")


# Tokens -------------------------------------------------------------------------------------------------------------


def token(*options):
    made = subprocess.run([SALON, "token", "--secret-file", path("secret"), *options], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def server_with_tokens(grace):
    file = os.open(path("secret"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, b"0123456789abcdef" * 2)
    os.close(file)
    return Server("--store", "memory", "--auth", "jwt", "--auth-key", f"HS256:{path('secret')}", "--auth-grace", grace)


@row
async def a_token_is_shown_in_the_head_or_in_the_first_message_if_it_is_long():
    async with server_with_tokens("30s") as server:
        for rooms, longer in (("*", False), (",".join(f"{n:0>120}" for n in range(30)), True)):
            shown = token("--sub", "ada", "--rooms", rooms)
            equal(len(shown) > 4_000, longer, "whether it is long")
            async with Person(server.url, token=shown) as ada:
                await until("we are welcome", lambda: ada.of(salon.Welcome))
                equal(ada.chat.user_id, "ada", "who we are")


@row
async def without_a_token_or_with_a_false_one_the_client_is_closed():
    async with server_with_tokens("30s") as server:
        for shown in (None, "x.y.z", "x" * 4_001, "no\ntoken"):
            async with Person(server.url, token=shown) as ada:
                await until("it is closed", lambda: ada.state == "closed")
                equal(ada.of(salon.State)[-1].code, 4001, "the code")
                try:
                    await ada.chat.rooms()
                except salon.SalonError as error:
                    equal([error.code, error.retry], ["disconnected", True], "a request then")
                else:
                    raise AssertionError("a request was answered")


@row
async def a_token_that_ends_is_replaced_in_place_and_after_the_end():
    async with (
        server_with_tokens("1s") as server,
        Person(server.url, token=token("--sub", "ada", "--ttl", "1s")) as ada,
    ):
        await ada.chat.join("den")
        await until("the end is told", lambda: [e.error.code for e in ada.of(salon.Error)] == ["token_expired"])
        for false in (token("--sub", "eve"), "x.y.z"):
            try:
                await ada.chat.authenticate(false)
            except salon.SalonError as error:
                assert error.code in ("forbidden", "unauthorized"), error.code
            else:
                raise AssertionError("a false token was taken")
        answer = await ada.chat.authenticate(token("--sub", "ada", "--ttl", "1s"))
        assert answer["expires_at"] > ada.of(salon.Welcome)[0].expires_at, answer
        equal([state.state for state in ada.of(salon.State)], ["connecting", "connected"], "the connection")
        await until("it is closed", lambda: ada.state == "closed")
        equal(ada.of(salon.State)[-1].code, 4001, "the code")
        await ada.task  # the events end with the client
        ada.chat.say("den", "while away")
        await ada.chat.authenticate(token("--sub", "ada"))
        ada.chat.connect()
        ada.task = asyncio.ensure_future(ada.listen())
        await until("it is said", lambda: ada.of(salon.Sent))
        equal(ada.chat.is_joined("den"), True, "the room")


# A slow program -----------------------------------------------------------------------------------------------------


@row
async def a_program_that_takes_no_events_holds_few_and_hears_all_of_them_later():
    async with Server("--rate", "off", "--store", "memory", "--history", "10000") as server:
        async with Person(server.url, "bob", events=0) as bob:
            await bob.chat.join("den")
            slow = salon.Client(server.url, user="slow", events=64, options={"proxy": None}, random=Hasty())
            async with slow:
                await slow.join("den")
                for n in range(3_000):
                    await until("there is room", lambda: len(bob.chat.outbox) < 100)
                    bob.chat.say("den", f"{n}" + "." * 1_000)
                await until("all is said", lambda: not bob.chat.outbox)
                assert 64 <= len(slow._queue) <= 64 + 8, f"found {len(slow._queue)} events"
                heard = []
                async for event in slow:
                    assert len(slow._queue) <= 64 + 8, f"found {len(slow._queue)} events"
                    assert not isinstance(event, salon.Gap), event
                    if isinstance(event, salon.Message):
                        heard.append((event.seq, event.content.rstrip(".")))
                        if len(heard) == 3_000:
                            break
                equal(heard, [(n + 1, f"{n}") for n in range(3_000)], "what is heard")


@row
async def an_answer_behind_many_events_comes_and_behind_too_many_the_wait_ends():
    async def play(connection, _):
        welcome = '{"type":"welcome","user_id":"ada","session_id":"s","server":"played","limits":{}}'
        await connection.send(welcome)
        async for text in connection:
            id = re.search('"id":"(.*?)"', text)[1]
            for n in range(count):
                await connection.send(f'{{"type":"typing","user_id":"bob{n}","typing":true}}')
            await connection.send(f'{{"type":"online","id":"{id}","users":[],"count":0}}')

    # Two states and the welcome are events too, and there must be room before the answer is read.
    for count, comes in ((8 * HARDER - 4, True), (8 * HARDER - 3, False)):
        async with Played(play) as server:
            async with salon.Client(server.url, events=8, options={"proxy": None}) as chat:
                try:
                    answer = await chat.online()
                    equal([answer["count"], comes], [0, True], f"behind {count} events")
                except salon.SalonError as error:
                    equal([error.code, comes], ["overloaded", False], f"behind {count} events")
                assert len(chat._queue) <= 8 * HARDER + 1, len(chat._queue)


# Each request and each event ----------------------------------------------------------------------------------------


def like(answer, kind):
    """Whether an answer has the fields of its type, and of the types in it."""
    assert kind.__required_keys__ <= answer.keys(), f"{kind.__name__}: {answer}"
    unknown = answer.keys() - kind.__required_keys__ - kind.__optional_keys__ - {"type", "id"}
    assert not unknown, f"{kind.__name__} has no {unknown}"
    for key, hint in typing.get_type_hints(kind).items():
        if key not in answer:
            continue
        inner = [part for part in typing.get_args(hint) if typing.is_typeddict(part)]
        values = answer[key].values() if isinstance(answer[key], dict) else answer[key]
        for part in values if inner else ():
            like(part, inner[0])


@row
async def each_request_is_answered_as_its_type_says_and_each_event_is_heard():
    options = ("--rate", "off", "--store", "memory")
    async with Server(*options) as server:
        async with (
            Person(server.url, "ada") as ada,
            Person(server.url, "ada") as phone,
            Person(server.url, "bob") as bob,
        ):
            chat = ada.chat
            like(await chat.create_room("den", name="The den", topic="foxes"), answers.Room)
            for person in (ada, phone, bob):
                joined = await person.chat.join("den", history=10)
                equal([joined.room_id, joined.first], ["den", True], "the answer to join")
            like(await bob.chat.topic("den", "two foxes"), answers.Topic)
            like(await bob.chat.topic("den", "two foxes"), answers.Ack)
            heard = salon.Topic("den", "two foxes", "bob", "The den")
            await until("the topic is heard", lambda: heard in ada.of(salon.Topic))
            like(await bob.chat.title("den", "The lair"), answers.Topic)
            like(await bob.chat.title("den", "The lair"), answers.Ack)
            renamed = salon.Topic("den", "two foxes", "bob", "The lair")
            await until("the title is heard", lambda: renamed in ada.of(salon.Topic))
            bob.chat.typing(True, room_id="den")
            bob.chat.typing(True, user_id="ada")
            await until("typing is heard", lambda: len(ada.of(salon.Typing)) == 2)
            like(await chat.presence(user_ids=["bob"], subscribe=True), answers.PresenceState)
            like(await chat.presence(room_id="den"), answers.PresenceState)
            await bob.chat.set_status("away", "at lunch")
            await until("the status is heard", lambda: ada.of(salon.Presence))
            equal(ada.of(salon.Presence), [salon.Presence("bob", "away", "at lunch")], "presence")
            one = await chat.say("den", "one")
            equal([one.seq, one.duplicate], [1, False], "the confirmation")
            two = await bob.chat.say("den", "two", reply_to=1)
            edited = await chat.edit(1, "one!", room_id="den")
            equal([edited.seq, edited.duplicate], [3, False], "an edit")
            same = await chat.edit(1, "one!", room_id="den")
            equal([same.seq, same.duplicate], [None, False], "an edit to the same text")
            await bob.chat.react(1, "👍", room_id="den")
            await bob.chat.react(1, "👍", False, room_id="den")
            await bob.chat.react(1, ":wave:", room_id="den")
            page = await chat.history(room_id="den", limit=1)
            like(page, answers.History)
            like(await chat.history(room_id="den", before=page["next"]), answers.History)
            like(await chat.search("two"), answers.Found)
            like(await chat.search("two", room_id="den", limit=1), answers.Found)
            like(await chat.read(2, room_id="den"), answers.Ack)
            await until("the mark is heard", lambda: phone.of(salon.Read))
            equal((await chat.delete(1, room_id="den")).seq, 7, "a deletion")
            psst = await chat.direct("bob", "psst")
            await bob.chat.direct("ada", "yes?", reply_to=psst.seq)
            await chat.edit(1, "psst!", user_id="bob")
            await chat.react(2, ":wave:", user_id="bob")
            await chat.delete(1, user_id="bob")
            await until("all of it is heard", lambda: len(phone.of(salon.Deleted)) == 2)
            for person in (ada, phone, bob):
                equal([e.content for e in person.of(salon.Message)], ["one", "two"], "messages")
                equal([e.content for e in person.of(salon.Direct)], ["psst", "yes?"], "direct messages")
                equal(
                    [(e.room_id, e.content) for e in person.of(salon.Edited)],
                    [("den", "one!"), (None, "psst!")],
                    "edits",
                )
                reactions = [(":wave:" == e.emoji, e.on) for e in person.of(salon.Reaction)]
                equal(reactions, [(False, True), (False, False), (True, True), (True, True)], "reactions")
                equal([(e.room_id, e.of) for e in person.of(salon.Deleted)], [("den", 1), (None, 1)], "deletions")
            like(await chat.history(user_id="bob"), answers.History)
            many = await chat.multicast(["bob", "ada", "nobody"], "lunch?")
            equal([many.answer["delivered"], many.answer["unknown"]], [["ada", "bob"], ["nobody"]], "a multicast")
            await chat.say("*", "tea")
            await until("the announcement is heard", lambda: bob.of(salon.Announcement))
            like(await chat.conversations(), answers.Conversations)
            like(await chat.members("den"), answers.Members)
            like(await chat.room("den"), answers.Room)
            like(await chat.rooms(limit=1), answers.Rooms)
            like(await chat.rooms(read=True), answers.Rooms)
            like(await chat.online(), answers.Online)
            equal((await chat.request("ping"))["type"], "pong", "any request")
            await chat.join("attic")
            await chat.read((await chat.say("attic", "up here")).seq, room_id="attic")
            await until("a mark is heard where one is not", lambda: phone.of(salon.Read)[-1].room_id == "attic")
            called = await chat.say("attic", "@room, tea")
            await chat.edit(called.seq, "@room, cake", room_id="attic")
            calls = lambda: [[e.mentions for e in ada.of(kind)[-2:]] for kind in (salon.Message, salon.Edited)]
            await until("a room is called", lambda: calls() == [[None, "room"], [None, "room"]])
            like(await chat.history(room_id="attic"), answers.History)
            for said in (chat.direct("nobody", "x"), chat.edit(99, "x", room_id="den"), chat.say("den", "x" * 20_000)):
                try:
                    await said
                except salon.SalonError as error:
                    assert error.code in ("user_not_found", "not_found", "too_large"), error.code
                else:
                    raise AssertionError("it was not refused")
            await until("refusals are told", lambda: len(ada.of(salon.Refused)) == 3)
            try:
                await chat.join("*")
            except salon.SalonError as error:
                equal(error.retry, False, "a room that cannot be")
            await until("that is told", lambda: ada.of(salon.JoinRefused))
            await bob.chat.leave("den")
            await until("the end is heard", lambda: ada.of(salon.UserLeft))
            equal([bob.chat.has("den"), bob.chat.position("den")], [False, None], "what is left of a room")
            equal(two.entry.done, True, "what is confirmed")


@row
async def a_status_is_asserted_at_every_connection_before_anybody_sees_another_one():
    async with Server("--store", "memory", "--leave-grace", "1s") as server, Person(server.url, "bob") as bob:
        await bob.chat.presence(user_ids=["ada"], subscribe=True)
        async with Person(server.url, "ada", status=("busy", "writing")) as ada:
            await until("it is seen", lambda: [p.note for p in bob.of(salon.Presence)][-1:] == ["writing"])
            equal({p.status for p in bob.of(salon.Presence)}, {"busy"}, "what is seen")
            async with Person(server.url, "ada") as phone:
                await until("the other device knows", lambda: phone.of(salon.Status))
                equal(phone.of(salon.Status), [salon.Status("busy", "writing")], "what it hears")
            equal(ada.of(salon.Status), [], "what the first hears")


# What the server says about coming back, played -----------------------------------------------------------------------

WELCOME = '{"type":"welcome","user_id":"ada","session_id":"s","server":"played","limits":{"content_bytes":9}}'


@row
async def close_codes_and_goodbyes_lead_to_what_the_table_says():
    rows = [
        # code, goodbye, then: `closed`, or at least so many seconds of waiting and less than so many
        (4001, None, "closed"),
        (4003, None, "closed"),
        (4010, '{"type":"goodbye","reason":"kicked","reconnect":false}', "closed"),
        (1008, '{"type":"goodbye","reason":"name_reserved","reconnect":false}', "closed"),
        (1012, '{"type":"goodbye","reason":"shutdown","reconnect":true,"after_ms":60000}', (60, 60.6)),
        (1013, None, (0.05, 0.5)),
        (4100, None, (0.05, 0.5)),
        (4200, None, (0, 0.001)),
        (4201, None, (0, 0.001)),
        (1000, None, (0.05, 0.5)),
    ]
    for code, goodbye, then in rows:

        async def play(connection, n):
            await connection.send(WELCOME)
            if n == 0:
                if goodbye:
                    await connection.send(goodbye)
                return await connection.close(code)
            await connection.wait_closed()

        async with Played(play) as server, Person(server.url, "ada") as ada:
            await until("it has ended", lambda: any(e.state in ("waiting", "closed") for e in ada.of(salon.State)))
            end = next(e for e in ada.of(salon.State) if e.state in ("waiting", "closed"))
            equal(end.code, code, "the code")
            if then == "closed":
                equal(end.state, "closed", f"after {code}")
            else:
                assert end.state == "waiting" and then[0] <= end.retry_in < then[1], f"after {code}: {end}"


@row
async def the_second_4200_in_a_row_is_followed_with_back_off():
    async def play(connection, n):
        await connection.send(WELCOME)
        await (connection.close(4200) if n < 2 else connection.wait_closed())

    async with Played(play) as server, Person(server.url, "ada") as ada:
        await until("it is there the third time", lambda: len(ada.of(salon.Welcome)) == 3)
        first, second = [e.retry_in for e in ada.of(salon.State) if e.state == "waiting"]
        assert first == 0 < second, (first, second)
        equal([w.resumed for w in ada.of(salon.Welcome)], [False, True, True], "welcomes")


@row
async def what_cannot_be_read_ends_the_connection_and_not_the_client():
    async def play(connection, n):
        for text in ["no JSON", WELCOME, '{"type":"unknown","new":[]}', '{"type":"joined"}' if n == 0 else "{}"]:
            await connection.send(text)
        await connection.wait_closed()

    async with Played(play) as server, Person(server.url, "ada") as ada:
        await until("it is there again", lambda: len(ada.of(salon.Welcome)) == 2)
        waiting = next(e for e in ada.of(salon.State) if e.state == "waiting")
        assert waiting.code == 1006 and "cannot be read" in waiting.reason, waiting


@row
async def a_name_that_breaks_the_rules_is_no_reason_to_come_again():
    async with Server("--store", "memory") as server, Person(server.url, "tab\there") as ada:
        await until("it is closed", lambda: ada.state == "closed")
        assert ada.of(salon.State)[-1].reason.startswith("HTTP 400"), ada.of(salon.State)
    async with Person("http://127.0.0.1:1/", "ada") as ada:
        await until("it is closed", lambda: ada.state == "closed")


@row
async def a_server_that_answers_429_is_left_alone_as_long_as_it_asks():
    async def full(connection, request):
        response = connection.respond(429, "too many")
        response.headers["Retry-After"] = "7"
        return response

    async with Played(None, process_request=full) as server, Person(server.url, "ada") as ada:
        await until("it waits", lambda: ada.state == "waiting")
        waiting = ada.of(salon.State)[-1]
        assert waiting.retry_in >= 7 and waiting.reason == "HTTP 429: too many", waiting


@row
async def a_message_that_the_server_closes_for_is_refused_and_not_said_again():
    async def play(connection, n):
        await connection.send(WELCOME)
        heard.append([await connection.recv() for _ in range(2 if n == 0 else 1)])
        await (connection.close(1009) if n == 0 else connection.wait_closed())

    heard = []
    async with Played(play) as server, Person(server.url, "ada") as ada:
        small, large = ada.chat.direct("bob", "a"), ada.chat.direct("eve", "larger")
        over = ada.chat.direct("zoe", "0123456789")  # one past the limit that the server named
        await until("it came again", lambda: len(heard) == 2)
        equal(
            [(e.entry, e.error.code) for e in ada.of(salon.Refused)],
            [(over, "too_large"), (large, "too_large")],
            "refused",
        )
        assert small.id in heard[1][0] and not small.done, heard


@row
async def a_lost_connection_ends_requests_and_none_is_sent_twice():
    async def play(connection, n):
        await connection.send(WELCOME)
        heard.append(await connection.recv())
        if n == 0:
            connection.transport.abort()
        else:
            id = re.search('"id":"(.*?)"', heard[-1])[1]
            await connection.send(f'{{"type":"pong","id":"{id}","ts":1}}')
            await connection.wait_closed()

    heard = []
    async with Played(play) as server, Person(server.url, "ada") as ada:
        try:
            await ada.chat.request("ping")  # waits for the connection, and is lost with it
        except salon.SalonError as error:
            equal([error.code, error.retry], ["disconnected", True], "the request")
        equal((await ada.chat.request("ping"))["ts"], 1, "the next one")
        equal(len(heard), 2, "what was heard")


def id_of(text):
    return re.search('"id":"(.*?)"', text)[1]


def kind_of(text):
    return re.search('"type":"(.*?)"', text)[1]


@row
async def a_leave_that_nobody_waits_for_is_sent_and_a_join_behind_it_comes_behind_it():
    async with (
        Server("--store", "memory") as server,
        Person(server.url, "ada") as ada,
        Person(server.url, "bob") as bob,
    ):
        for person in (ada, bob):
            await person.chat.join("den")
        leaving = asyncio.ensure_future(ada.chat.leave("den"))
        await asyncio.sleep(0)
        leaving.cancel()
        await until("she has left", lambda: len(bob.of(salon.UserLeft)) == 1)
        await ada.chat.join("den")
        leaving = asyncio.ensure_future(ada.chat.leave("den"))
        await asyncio.sleep(0)
        await ada.chat.join("den")
        await leaving
        page = await bob.chat.members("den")
        equal([sorted(member["user_id"] for member in page["members"]), ada.chat.is_joined("den")], [["ada", "bob"], True], "who is there")
        await ada.chat.say("den", "here")
        equal([len(bob.of(kind)) for kind in (salon.UserLeft, salon.UserJoined)], [2, 2], "what bob has seen of her")


@row
async def a_leave_that_came_too_fast_is_sent_again_before_a_join_and_on_no_other_connection():
    async def play(connection, n):
        await connection.send(WELCOME)
        async for text in connection:
            heard.append((n, kind_of(text)))
            limited = '"code":"rate_limited","message":"slowly","retry":true,"retry_after_ms":20'
            if kind_of(text) == "join":
                joined = f'"id":"{id_of(text)}","room_id":"den","epoch":"e","seq":0,"recovered":false,"members":1'
                await connection.send(f'{{"type":"joined",{joined}}}')
            elif (n, len(heard)) in ((0, 2), (0, 5)):
                await connection.send(f'{{"type":"error","id":"{id_of(text)}",{limited}}}')
                if len(heard) == 5:
                    return await connection.close(4200)
            elif kind_of(text) == "leave":
                await connection.send(f'{{"type":"left","id":"{id_of(text)}","room_id":"den"}}')

    heard = []
    async with Played(play) as server, Person(server.url, "ada") as ada:
        await ada.chat.join("den")
        leaving = asyncio.ensure_future(ada.chat.leave("den"))
        await until("it came too fast", lambda: len(heard) == 2)
        await ada.chat.join("den")
        await leaving
        equal(heard, [(0, "join"), (0, "leave"), (0, "leave"), (0, "join")], "what the server heard")
        await ada.chat.leave("den")  # which comes too fast again, and the connection ends
        await until("it is there again", lambda: len(ada.of(salon.Welcome)) == 2)
        await ada.chat.join("den")
        equal(heard[4:], [(0, "leave"), (1, "join")], "what it heard then")
        equal(ada.chat.is_joined("den"), True, "the room")


@row
async def a_server_that_has_us_in_a_room_that_we_left_is_told_again():
    async def play(connection, _):
        await connection.send(WELCOME)
        await connection.send('{"type":"broadcast","room_id":"den","sender":"bob","content":"x","seq":7,"ts":1}')
        async for text in connection:
            heard.append(text)

    heard = []
    async with Played(play) as server, Person(server.url, "ada") as ada:
        await until("it is told", lambda: heard)
        equal([kind_of(heard[0]), '"den"' in heard[0], ada.of(salon.Message)], ["leave", True, []], "what is told")


@row
async def requests_of_the_client_itself_are_bounded_in_number_and_time():
    from salon import requests

    within, requests.ANSWER_WITHIN = requests.ANSWER_WITHIN, 0.05
    try:

        async def play(connection, _):
            await connection.send(WELCOME)
            for n in range(requests.REQUESTS_MAX + 1):
                await connection.send(
                    f'{{"type":"broadcast","room_id":"{n}","sender":"bob","content":"x","seq":7,"ts":1}}'
                )
            async for text in connection:
                heard.append(text)

        heard = []
        async with Played(play) as server, Person(server.url, "ada") as ada:
            await until("all came to an end", lambda: len(ada.of(salon.Error)) == requests.REQUESTS_MAX + 1)
            codes = [event.error.code for event in ada.of(salon.Error)]
            equal([codes[0], set(codes[1:])], ["overloaded", {"timeout"}], "how")
            equal([len(heard), ada.chat._requests.get(id_of(heard[0]))], [requests.REQUESTS_MAX, None], "what was sent")
    finally:
        requests.ANSWER_WITHIN = within


@row
async def what_is_closed_before_it_began_ends_all_that_waits():
    chat = salon.Client("ws://127.0.0.1:1/ws", user="ada", options={"proxy": None})
    chat.connect()

    async def listen():
        return [event.state async for event in chat]

    async def ask():
        try:
            await chat.rooms()
        except salon.SalonError as error:
            return error.code

    waits = [asyncio.ensure_future(listen()), asyncio.ensure_future(ask())]
    await chat.close()
    equal(await asyncio.wait_for(asyncio.gather(*waits), 5), [["closed"], "disconnected"], "events and a request")
    equal(chat.state, "closed", "the state")


@row
async def a_second_close_does_not_wait_for_a_server_that_is_silent():
    import base64
    import hashlib

    ended, silent = asyncio.Event(), asyncio.Event()

    async def play(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search("Sec-WebSocket-Key: (.*?)\r", head)[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
        writer.write(f"{upgrade}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        writer.write(bytes([0x81, len(WELCOME)]) + WELCOME.encode())
        while frame := await reader.read(1 << 16):
            if frame[0] == 0x88:
                silent.set()
        ended.set()

    listener = await asyncio.start_server(play, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/ws"
    options = {"proxy": None, "close_timeout": 1_000}
    chat = salon.Client(url, user="ada", options=options)
    chat.connect()
    await until("it is connected", lambda: chat.state == "connected")
    closing = asyncio.ensure_future(chat.close())
    await silent.wait()
    await asyncio.wait_for(chat.close(), 5)
    await asyncio.wait_for(asyncio.gather(closing, ended.wait()), 5)
    listener.close()


@row
async def a_token_goes_to_no_other_address_and_into_no_log():
    import logging

    async def elsewhere(connection, request):
        response = connection.respond(302, "there")
        response.headers["Location"] = other.url
        return response

    async def play(connection, _):
        await connection.send(WELCOME)
        await connection.wait_closed()

    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("websockets")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        async with Played(play) as other, Played(None, process_request=elsewhere) as server:
            async with Person(server.url, token="secret") as ada:
                await until("it waits", lambda: ada.state == "waiting")
                waiting = next(e for e in ada.of(salon.State) if e.state == "waiting")
                equal([waiting.reason, other.heads], ["HTTP 302: there", []], "how it ends, who heard of it")
            async with Person(other.url, token="secret") as ada:
                await until("it is there", lambda: ada.of(salon.Welcome))
                equal(other.heads[0].headers["Authorization"], "Bearer secret", "what the server hears")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    ours = [line for line in lines if line.startswith("> ")]
    equal([any("HTTP/1.1" in line for line in ours), [line for line in ours if "secret" in line]], [True, []], "the log")


@row
async def a_token_or_a_status_that_is_refused_when_nobody_waits_any_more_is_not_kept():
    async def play(connection, n):
        await connection.send(WELCOME)
        async for text in connection:
            heard.append(text)
            if len(heard) == 2:
                for text in heard:
                    error = f'"id":"{id_of(text)}","code":"forbidden","message":"no","retry":false'
                    await connection.send(f'{{"type":"error",{error}}}')
                return await connection.close(4200)

    heard = []
    async with Played(play) as server, Person(server.url, token="good") as ada:
        await until("it is there", lambda: ada.of(salon.Welcome))
        asked = [ada.chat.authenticate("bad"), ada.chat.set_status("busy")]
        for task in [asyncio.ensure_future(one) for one in asked]:
            await asyncio.sleep(0)
            task.cancel()
        await until("it came again", lambda: len(ada.of(salon.Welcome)) == 2)
        equal(server.heads[1].headers["Authorization"], "Bearer good", "the token")
        equal("status=" in server.heads[1].path, False, "the status")


@row
async def a_room_that_is_full_is_asked_for_again_and_one_that_is_forbidden_is_not():
    async def play(connection, _):
        await connection.send(WELCOME)
        tries = 0
        async for text in connection:
            id, room = (re.search(f'"{key}":"(.*?)"', text)[1] for key in ("id", "room_id"))
            if room == "no":
                await connection.send(f'{{"type":"error","id":"{id}","code":"forbidden","message":"no","retry":false}}')
            elif (tries := tries + 1) == 1:
                await connection.send(
                    f'{{"type":"error","id":"{id}","code":"room_full","message":"full","retry":true}}'
                )
            else:
                joined = f'"id":"{id}","room_id":"den","epoch":"e","seq":0,"recovered":false,"members":1'
                await connection.send(f'{{"type":"joined",{joined}}}')

    async with Played(play) as server, Person(server.url, "ada") as ada:
        said, never = ada.chat.say("den", "x"), ada.chat.say("no", "x")
        refused = ada.chat.join("no")
        await ada.chat.join("den")
        equal([e.room_id for e in ada.of(salon.JoinDelayed)], ["den"], "what is delayed")
        for pending in (refused, never):
            try:
                await pending
            except salon.SalonError as error:
                equal(error.code, "forbidden", "the refusal")
        equal([ada.chat.has("no"), said.done], [False, False], "what is left")


# The outbox and the rooms by themselves, with the clock as an argument ------------------------------------------------


def entries(*messages):
    queue, outbox = EventQueue(1), Outbox()
    made = [Outgoing(queue, {"type": "x", **message}, queued_at=0, id=str(n)) for n, message in enumerate(messages)]
    for entry in made:
        outbox.put(entry)
    return outbox, made


def sends(outbox, now=0.0, wall=1_000.0, connection=1, limits={}, joined=("den",), epoch="e"):
    turn = outbox.turn(now, wall, connection, limits, lambda room: epoch if room in joined else None)
    return [message["id"] for message in turn.send], [(entry.id, error.code) for entry, error in turn.refuse], turn.wake


@row
async def each_conversation_has_one_message_on_its_way():
    den, lab, bob, eve = {"room_id": "den"}, {"room_id": "lab"}, {"user_id": "bob"}, {"user_id": "eve"}
    outbox, made = entries(den, den, lab, bob, {"user_ids": ["bob", "eve"]}, eve, {"user_id": "den"})
    equal(
        sends(outbox), (["0", "3", "6"], [], 15.0), "the first turn"
    )  # not in the lab; eve waits behind the multicast
    equal(sends(outbox, now=14.9), ([], [], 15.0), "before an answer is late")
    equal(sends(outbox, now=15.0), (["0", "3", "6"], [], 30.0), "when it is late")
    outbox.take(made[3])
    equal(sends(outbox, now=15.0), (["4"], [], 30.0), "when bob has his")
    outbox.take(made[4])
    equal(sends(outbox, now=15.0, joined=("den", "lab")), (["2", "5"], [], 30.0), "when all have the multicast")


@row
async def what_is_not_confirmed_in_time_is_not_risked():
    outbox, _ = entries({"user_id": "bob"})
    sends(outbox)
    equal(sends(outbox, wall=1_000 + REPEAT_WITHIN, connection=2)[0], ["0"], "in time")
    equal(sends(outbox, wall=1_001 + REPEAT_WITHIN, connection=2), ([], [], 15.0), "on the connection it was sent on")
    equal(sends(outbox, wall=1_001 + REPEAT_WITHIN, connection=3)[1], [("0", "unconfirmed")], "too late")


@row
async def a_refusal_with_retry_is_tried_six_times_and_a_rate_without_end():
    outbox, [entry] = entries({"user_id": "bob"})
    busy = salon.SalonError("overloaded", retry=True)
    limited = salon.SalonError("rate_limited", retry=True, retry_after=2.0)
    for n in range(20):
        equal(outbox.refused(entry, limited, 0.0, lambda tries: 1.0), False, "a rate")
    equal(sends(outbox, now=1.9), ([], [], 2.0), "before it may be sent again")
    for n in range(1, 7):
        equal(outbox.refused(entry, busy, 10.0 * n, float), False, f"try {n}")
        equal(sends(outbox, now=10.0 * n), ([], [], 10.0 * n + n), f"the wait of try {n}")
    equal(outbox.refused(entry, busy, 99.0, float), True, "the seventh")
    equal(outbox.refused(entries({})[1][0], salon.SalonError("forbidden"), 0.0, float), True, "without retry")


@row
async def behind_a_rate_limit_messages_keep_to_the_rate_for_a_while():
    outbox, made = entries(*({"user_id": f"{n}"} for n in range(3)))
    outbox.refused(made[0], salon.SalonError("rate_limited", retry=True, retry_after=1.0), 0.0, float)
    limits = {"rate": {"per_second": 12}}
    equal(sends(outbox, now=1.0, limits=limits)[0], ["0"], "the first")
    equal(sends(outbox, now=1.05, limits=limits)[0], [], "too early")
    equal(sends(outbox, now=1.1, limits=limits)[0], ["1"], "the second")
    equal(sends(outbox, now=SLOW_FOR, limits=limits)[0], ["0", "1", "2"], "when that is over")


@row
async def in_a_room_that_has_begun_anew_no_other_message_is_answered_or_deleted():
    for epoch, answers_it, refused in (("e", True, []), ("f", False, [("1", "epoch_changed")])):
        outbox, made = entries({"room_id": "den", "reply_to": 1}, {"room_id": "den", "of": 1}, {"room_id": "den"})
        for entry in made:
            entry.epoch = "e"
        equal(sends(outbox, epoch=epoch)[:2], (["0"], []), "the first")
        equal("reply_to" in made[0].message, answers_it, "whether it answers")
        outbox.take(made[0])
        equal(sends(outbox, epoch=epoch)[:2], (["2"] if refused else ["1"], refused), "what is next")


@row
async def the_outbox_holds_two_hundred():
    outbox, _ = entries(*({"user_id": f"{n}"} for n in range(OUTBOX_MAX)))
    try:
        outbox.put(Outgoing(EventQueue(1), {"type": "x"}, queued_at=0))
    except salon.SalonError as error:
        equal([error.code, error.retry], ["overloaded", True], "one more")
    else:
        raise AssertionError("one more was taken")


def wanting(names):
    rooms, queue = Rooms(lambda: 0.0), EventQueue(1)
    for name in names:
        rooms.want(name, queue, 0, None)
    rooms.begin()
    return rooms


def asked(turn):
    return [[room["room_id"] for room in message.get("rooms", [message])] for message in turn.send]


@row
async def rooms_are_asked_for_in_lists_as_long_as_the_server_takes():
    limits = {"join_rooms": 2, "message_bytes": 200}
    rooms = wanting(["a", "b", "c", "long" * 20, "long" * 25])
    equal(asked(rooms.turn(0.0, limits, {"c"})), [["c", "a"], ["b", "long" * 20], ["long" * 25]], "the lists")
    equal(asked(rooms.turn(14.9, limits, ())), [], "while they are on their way")
    equal(len(asked(rooms.turn(15.0, limits, ()))), 3, "when none was answered")


@row
async def without_lists_ten_rooms_are_asked_for_at_once_and_the_others_at_a_pace():
    limits = {"rate": {"per_second": 12}}
    rooms = wanting([f"{n}" for n in range(12)])
    turn = rooms.turn(0.0, limits, ())
    equal([len(turn.send), round(turn.wake, 9)], [11, 0.1], "the first ten, and the one that begins the pace")
    equal(len(rooms.turn(0.05, limits, ()).send), 0, "too early")
    equal(asked(rooms.turn(0.1, limits, ())), [["11"]], "in time")


# For work at some of them: words of their names behind the others.
checks.run([check for check in ROWS if all(word in check.__name__ for word in sys.argv[3:])], 300)
