"""The disk under a store fails: it is full, slow, read-only, gives errors or nonsense, or the file is taken away.

Those who speak are told (`backend_down`, `overloaded`), those who are there stay, others are answered meanwhile, one
line of the log says why, and Salon goes on by itself when the disk does. Whatever anybody was told is there afterwards.
"""

import ctypes
import json
import mmap
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import tempfile

import harness
from harness import Client, Closed, Server, Skip, check, frame, get, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
EIO, EROFS = 5, 30
SETTINGS = ["--rate", "off", "--log", "info"]


class Disk:
    """A folder for a store, whose disk can be hurt; see disk.c."""

    NAMES = ("sync_error", "syncs", "write_error", "writes", "read_error", "reads", "sync_ms", "syncing", "synced")

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="salon-disk-")
        self.file = os.path.join(self.folder, "store", "salon.db")
        library, control = os.path.join(self.folder, "disk.so"), os.path.join(self.folder, "control")
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            raise Skip("no C compiler")
        source = os.path.join(HERE, "disk.c")
        made = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"],
                              capture_output=True, text=True)
        if made.returncode:
            raise Skip(f"disk.c cannot be compiled: {made.stderr}")
        os.mkdir(os.path.dirname(self.file), 0o700)
        with open(control, "wb") as file:
            file.write(bytes(4096))
        with open(control, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 4096)
        self.environment = {"LD_PRELOAD": library, "DISK_FOLDER": os.path.dirname(self.file), "DISK_CONTROL": control}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        harness.end_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, name):
        return struct.unpack_from("<i", self.control, 4 * self.NAMES.index(name))[0]

    def set(self, **values):
        for name, value in values.items():
            struct.pack_into("<i", self.control, 4 * self.NAMES.index(name), value)

    def serve(self, durability):
        server = Server("--store", self.file, "--durability", durability, environment=self.environment,
                        settings=SETTINGS)
        if durability == "power" and self.get("synced") == 0:
            raise Skip("the library was not loaded; is the binary static?")
        return server


def answer(client, number):
    """The next message with this `id`, in whatever rooms the client is."""
    while True:
        opcode, payload = client._frame()
        if opcode == 9:
            client.send(frame(payload, 10))
        elif opcode == 8:
            raise Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())
        elif opcode == 1:
            message = json.loads(payload)
            if message.get("id") == number:
                return message


def ask(client, **message):
    client.say(id="asked", **message)
    return answer(client, "asked")


class House:
    """Two people in a room of a store on disk, and what they were told."""

    def __init__(self, server):
        self.server, self.said, self.told = server, 0, {}
        self.ann, self.ben = (Client(server, name, room="den") for name in ("ann", "ben"))

    def begin(self, content=None):
        """Ann says something; returns its id."""
        self.said += 1
        self.ann.say(type="broadcast", room_id="den", content=content or f"message {self.said}", id=self.said)
        return self.said

    def outcome(self, number):
        """The code of the error, or None if it was said."""
        while True:
            message = self.ann.hear()
            if message["type"] == "broadcast":
                self.note(message)
            if message.get("id") == number:
                return message.get("code")

    def say(self, content=None):
        return self.outcome(self.begin(content))

    def note(self, message):
        before = self.told.setdefault(message["seq"], message["content"])
        assert before == message["content"], (before, message)

    def both_are_here(self):
        """Both are answered, and Ben has heard what Ann has."""
        for person in (self.ann, self.ben):
            person.say(type="ping", id="here")
            while True:
                message = person.hear()
                if message["type"] == "broadcast":
                    self.note(message)
                if message.get("id") == "here":
                    assert message["type"] == "pong"
                    break

    def goes_on(self, down=("backend_down",)):
        """Says something until it is taken; what is refused meanwhile is refused for these reasons."""

        def taken():
            code = self.say()
            assert code is None or code in down, code
            return code is None

        wait_until(taken, "it goes on by itself")
        self.both_are_here()

    def lines(self, words):
        return [line for line in self.server.errors if words in line]

    def logged_once(self, *more):
        """That nothing is kept was said once, and that it is kept again."""
        wait_until(lambda: self.lines("are kept again"), "it is said that it goes on")
        down = self.lines("messages cannot be kept")
        assert len(down) == 1 and all(words in down[0] for words in more), down
        assert len(self.lines("are kept again")) == 1, self.server.errors

    def is_all_there(self, disk, durability="process"):
        """After `kill -9`, everything that anybody was told."""
        self.server.signal("KILL")
        self.server.process.wait()
        again = Server("--store", disk.file, "--durability", durability)
        client = Client(again, "cat")
        client.say(type="join", room_id="den")
        last = client.hear_type("joined")["seq"]
        found, after = {}, 0
        while after < last:
            client.say(type="history", room_id="den", after=after, id="h")
            items = [item for item in client.hear_type("history")["items"]]
            found |= {item["seq"]: item["content"] for item in items}
            after = items[-1]["seq"]
        assert sorted(found) == list(range(1, last + 1)), "without a hole"
        lost = {seq: content for seq, content in self.told.items() if found.get(seq) != content}
        assert not lost, f"lost: {lost}"
        again.lives()
        again.signal("KILL")
        again.process.wait()


def private_mounts():
    """What is mounted from here on is gone with this process."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    if ctypes.CDLL(None, use_errno=True).unshare(0x20000) != 0:
        raise Skip("no mount namespace")
    if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode:
        raise Skip("mounts cannot be made private")


def mount(folder, *options):
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True,
                          text=True)
    if made.returncode:
        raise Skip(f"no tmpfs: {made.stderr.strip()}")


@check(needs=["mount"])
def a_full_disk_takes_nothing_and_loses_nothing():
    private_mounts()
    with Disk() as disk:
        mount(os.path.dirname(disk.file), "size=4m", "mode=700")
        filler = os.path.join(os.path.dirname(disk.file), "filler")
        with open(filler, "wb") as file:
            file.write(bytes(1 << 20))
        house = House(disk.serve("power"))
        said = 0
        while (code := house.say("x" * 8000)) is None:
            said += 1
            assert said < 2000
        assert code == "backend_down", code
        for _ in range(5):
            assert house.say("y" * 8000) == "backend_down"
        house.both_are_here()
        status, why = get(house.server.admin, "/readyz")
        assert status == 503 and b"full" in why, (status, why)
        os.unlink(filler)
        house.goes_on()
        assert get(house.server.admin, "/readyz")[0] == 200
        house.logged_once("full")
        house.is_all_there(disk)
        return f"full after {said} messages of 8000 bytes"


@check(needs=["mount"])
def a_disk_that_becomes_read_only_and_writable_again():
    private_mounts()
    with Disk() as disk:
        # A file system that is read-only amid its use: writes fail, and there is no way around.
        mount(os.path.dirname(disk.file), "size=16m", "mode=700")
        house = House(disk.serve("power"))
        assert house.say() is None
        disk.set(write_error=EROFS, writes=-1)
        for _ in range(3):
            assert house.say() == "backend_down"
        house.both_are_here()
        disk.set(writes=0)
        house.goes_on()
        house.logged_once()
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        # From the beginning: one sentence.
        remounted = subprocess.run(["mount", "-o", "remount,ro", os.path.dirname(disk.file)], capture_output=True)
        if remounted.returncode:
            raise Skip("it cannot be mounted read-only")
        assert "cannot be opened" in refused(disk)
        subprocess.run(["mount", "-o", "remount,rw", os.path.dirname(disk.file)], check=True)
        house.server = disk.serve("power")
        house.is_all_there(disk)


@check()
def errors_of_the_disk_are_told_and_pass():
    with Disk() as disk:
        for durability in ("process", "power"):
            house = House(disk.serve(durability))
            cat = Client(house.server, "cat")
            faults = [("write_error", "writes"), ("read_error", "reads")]
            if durability == "power":
                faults.append(("sync_error", "syncs"))
            for error, count in faults:
                for times in (1, 2, 5):
                    disk.set(**{error: EIO, count: times})
                    # What is said has whoever reads look into the file and its log anew.
                    def hit():
                        house.say()
                        ask(cat, type="join", room_id=f"{error} {times} {house.said}")
                        return disk.get(count) == 0
                    wait_until(hit, "the disk has failed")
                    disk.set(**{count: 0})
                    house.goes_on()
            house.is_all_there(disk, durability)


@check()
def a_sync_that_fails_once_is_not_believed_the_next_time():
    """The kernel forgets what it could not write: it counts as written. So the file is opened anew and synced."""
    with Disk() as disk:
        house = House(disk.serve("power"))
        for _ in range(10):
            assert house.say() is None
        disk.set(sync_error=EIO, syncs=1)
        assert house.say() == "backend_down"
        house.goes_on()
        house.logged_once()
        disk.set(sync_error=EIO, syncs=-1)
        for _ in range(5):
            assert house.say() == "backend_down"
        house.both_are_here()
        disk.set(syncs=0)
        house.goes_on()
        # What was refused and is in the file all the same has been told to both as if somebody else had said it.
        house.is_all_there(disk, "power")


@check()
def a_file_that_is_taken_away_is_missed():
    with Disk() as disk:
        house = House(disk.serve("process"))
        for _ in range(10):
            assert house.say() is None
        for end in ("", "-wal"):
            path, away = disk.file + end, disk.file + end + ".away"
            os.rename(path, away)
            assert house.say() == "backend_down"
            assert house.say() == "backend_down"
            house.both_are_here()
            assert get(house.server.admin, "/readyz")[0] == 503
            assert not os.path.exists(path), "none is made in its place"
            os.rename(away, path)
            house.goes_on()
        # Another one in its place is not written to.
        shutil.copy(disk.file, disk.file + ".copy")
        os.rename(disk.file, disk.file + ".away")
        os.rename(disk.file + ".copy", disk.file)
        with open(disk.file, "rb") as file:
            before = file.read()
        assert house.say() == "backend_down"
        with open(disk.file, "rb") as file:
            assert file.read() == before
        os.rename(disk.file + ".away", disk.file)
        house.goes_on()
        wait_until(lambda: house.lines("taken away"), "it is said that the file was taken away")
        house.is_all_there(disk)


@check()
def a_file_that_is_written_over_is_missed():
    """`cp backup salon.db`, `truncate`: the same inode, and something else in it."""
    with Disk() as disk:
        house = House(disk.serve("process"))
        assert house.say() is None
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        backup = disk.file + ".backup"
        shutil.copy(disk.file, backup)
        house.server = disk.serve("process")
        house = House(house.server)
        for _ in range(10):
            assert house.say() is None
        right = disk.file + ".right"
        shutil.copy(disk.file, right)
        for change in (lambda: shutil.copyfile(backup, disk.file), lambda: os.truncate(disk.file, 0)):
            change()
            with open(disk.file, "rb") as file:
                before = file.read()
            assert house.say() == "backend_down"
            assert house.say() == "backend_down"
            assert get(house.server.admin, "/readyz")[0] == 503
            house.both_are_here()
            with open(disk.file, "rb") as file:
                assert file.read() == before, "nothing is written into it"
            shutil.copyfile(right, disk.file)
            house.goes_on()
        # A start refuses it beside the log of what was there.
        shutil.copyfile(backup, disk.file)
        assert house.say() == "backend_down"
        assert [words for words in house.lines("something else was written into the file") if "move away the log" in words]
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        with open(disk.file, "rb") as file, open(backup, "rb") as other:
            assert file.read() == other.read(), "nor is anything when it ends"
        assert "move that log away" in refused(disk)
        shutil.copyfile(right, disk.file)
        house.server = disk.serve("process")
        house.is_all_there(disk)


@check()
def a_program_that_closes_the_file_leaves_its_log():
    """As `sqlite3` does, which removes the log if nobody else has the file locked: also behind reads beside the writer."""
    with Disk() as disk:
        house = House(disk.serve("process"))
        for _ in range(5):
            assert house.say() is None
            house.ben.say(type="history", room_id="den", id="h")
            house.ben.hear_type("history")
            other = sqlite3.connect(disk.file)
            assert other.execute("SELECT count(*) FROM entry").fetchone() == (house.said,)
            other.close()
            assert os.path.exists(disk.file + "-wal") and os.path.exists(disk.file + "-shm")
        house.is_all_there(disk)


@check()
def a_shared_index_that_is_cut_off_is_the_end_and_no_loss():
    """What is mapped into memory is gone (SIGBUS): as after `kill -9`, all that was told is there."""
    with Disk() as disk:
        house = House(disk.serve("process"))
        for _ in range(10):
            assert house.say() is None
        os.truncate(disk.file + "-shm", 0)
        house.begin()
        assert house.server.process.wait(harness.PATIENCE) == -signal.SIGBUS
        house.server = disk.serve("process")
        house.is_all_there(disk)


@check()
def a_log_that_was_deleted_is_saved_by_an_end_in_order():
    with Disk() as disk:
        house = House(disk.serve("process"))
        for _ in range(10):
            assert house.say() is None
        os.unlink(disk.file + "-wal")
        assert house.say() == "backend_down"
        (line,) = wait_until(lambda: house.lines("taken away"), "it is said that the log was taken away")
        assert "SIGTERM" in line and f"/proc/{house.server.pid}/fd" in line, line
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        house.server = disk.serve("process")
        house.is_all_there(disk)


@check()
def a_slow_sync_holds_up_those_who_speak_and_nobody_else():
    with Disk() as disk:
        server = disk.serve("power")
        house = House(server)
        for room in ("bar", "hut"):
            eve = Client(server, "eve", room=room)
            for n in range(30):
                ask(eve, type="broadcast", room_id=room, content=str(n))
            eve.leave()
        others = [Client(server, f"o{n}", room="bar") for n in range(3)]
        floods = [Client(server, f"flood{n}", room=f"flood{n}") for n in range(120)]
        assert house.say() is None
        house.both_are_here()
        disk.set(sync_ms=600_000)  # until it is said otherwise
        waits = house.begin()
        wait_until(lambda: disk.get("syncing") > 0, "the disk is busy")
        synced = disk.get("synced")
        # Nobody else's turn: pings, rooms that are known and rooms that are not.
        for round in range(5):
            for person in [*others, house.ben]:
                assert ask(person, type="ping")["type"] == "pong"
            for room in ("bar", "hut"):
                joined = ask(others[round % 3], type="join", room_id=room, history=10)
                assert joined["type"] == "joined", joined
                page = ask(others[round % 3], type="history", room_id=room, limit=20)
                assert len(page["items"]) == 20, page
        assert disk.get("synced") == synced, "all of that while the disk was busy"
        # What waits is bounded: for one client, which is read no further, and for all of them.
        hasty, *many = floods
        for client in floods:
            for at in range(1000 if client is hasty else 50):
                client.say(type="broadcast", room_id=client.room, content=str(at), id=at)
        assert many[-1].hear_type("error")["code"] == "overloaded"
        assert disk.get("synced") == synced, "nothing is on the disk meanwhile"
        disk.set(sync_ms=0)
        overloaded = 1
        for client in floods:
            told, left = [], (1000 if client is hasty else 50) - (client is many[-1])
            while len(told) < left:
                message = client.hear()
                if message["type"] == "error":
                    assert message["code"] == "overloaded" and client is not hasty, message
                    overloaded, left = overloaded + 1, left - 1
                elif message["type"] == "broadcast":
                    told.append(message["content"])
            assert told == sorted(told, key=int), told
        assert house.outcome(waits) is None
        house.goes_on(down=("overloaded",))
        house.is_all_there(disk, "power")
        return f"{overloaded} of 6950 overloaded"


def refused(disk):
    """The one sentence with which a start ends; the file stays as it is."""
    with open(disk.file, "rb") as file:
        before = file.read()
    ended = subprocess.run([harness.SALON, "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", disk.file],
                           capture_output=True, text=True, timeout=harness.PATIENCE)
    assert ended.returncode == 2, (ended.returncode, ended.stderr)
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    with open(disk.file, "rb") as file:
        assert file.read() == before, "it is as it was"
    return ended.stderr


@check()
def damaged_files_are_refused_or_read_and_never_shown_wrong():
    with Disk() as disk:
        house = House(disk.serve("process"))
        long = "a message that takes some room " * 5
        for _ in range(300):
            house.begin(long)
        assert house.outcome(300) is None
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        with open(disk.file, "rb") as file:
            whole = file.read()
        counts = {"refused": 0, "read": 0}
        places = [0, 20, 60, 70, 100, 105, 4000, 4096, 5000] + list(range(8192, len(whole), len(whole) // 16))
        for place in places:
            for size in (1, 600):
                hurt = bytearray(whole)
                for at in range(place, min(place + size, len(whole))):
                    hurt[at] ^= 0x5a
                for end in ("-wal", "-shm"):
                    if os.path.exists(disk.file + end):
                        os.unlink(disk.file + end)
                with open(disk.file, "r+b") as file:
                    file.write(hurt)
                try:
                    server = Server("--store", disk.file)
                except AssertionError:
                    sentence = refused(disk)
                    words = ("damaged", "another file", "newer", "opened")
                    assert any(word in sentence for word in words), (place, size, sentence)
                    counts["refused"] += 1
                    continue
                counts["read"] += 1
                client, before = Client(server, "cat"), 301
                if ask(client, type="join", room_id="den")["type"] == "joined":
                    while before and before > 1:
                        page = ask(client, type="history", room_id="den", before=before)
                        if page["type"] == "error":
                            assert page["code"] == "backend_down", (place, size, page)
                            break
                        # SQLite has no sums of what is in a page: a text may have another letter.
                        seqs = [item["seq"] for item in page["items"]]
                        assert all(0 < seq < before for seq in seqs) and seqs == sorted(set(seqs)), (place, size, seqs)
                        before = page.get("next")
                server.signal("KILL")
                server.process.wait()
        with open(disk.file, "r+b") as file:
            file.write(whole)
        return f"{counts}"


@check()
def damage_under_a_running_server():
    """Half of what was said lies on damaged pages, more than is in memory: what needs one of these is refused, and
    nothing else is."""
    words = "a message that takes some room " * 60
    with Disk() as disk:
        house = House(disk.serve("process"))
        other = Client(house.server, "other")
        assert ask(other, type="join", room_id="bar")["type"] == "joined"
        for _ in range(70):
            numbers = [house.begin(words) for _ in range(100)]
            assert house.outcome(numbers[-1]) is None
            house.both_are_here()
        def is_in_the_file():
            # The log is moved when it has become long, and so by what is said.
            assert house.outcome(house.begin(words)) is None
            return os.path.getsize(disk.file) > 12 << 20

        wait_until(is_in_the_file, "the log has been moved into the file")
        hurt = 0
        with open(disk.file, "r+b") as file:
            whole = file.read()
            for page in range(2, len(whole) // 4096 // 2):
                content = whole[page * 4096:(page + 1) * 4096]
                # A leaf of a table.
                if content[0] == 13 and words[:30].encode() in content:
                    file.seek(page * 4096)
                    file.write(b"\xa5" * 4096)
                    hurt += 1
            file.flush()
        assert hurt > 500, hurt
        failures = house.server.metric("salon_store_failures_total")
        reader = Client(house.server, "reader", room="den")
        counts = {"read": 0, "refused": 0}
        for before in range(7000, 0, -200):
            message = ask(reader, type="history", room_id="den", before=before, limit=10)
            if message["type"] == "error":
                assert message["code"] == "backend_down", message
                counts["refused"] += 1
            else:
                assert all(item["content"] == words for item in message["items"]), message
                counts["read"] += len(message["items"]) > 0
            # What is said meanwhile is taken, there and elsewhere.
            assert house.say() is None
            other.say(type="broadcast", room_id="bar", content="x", id=f"before {before}")
            assert answer(other, f"before {before}")["type"] == "broadcast"
        assert counts["read"] > 5 and counts["refused"] > 5, counts
        assert len(house.lines("some of it cannot be read")) == 1, house.server.errors
        assert house.server.metric("salon_store_failures_total") == failures
        assert get(house.server.admin, "/readyz")[0] == 200
        house.server.lives()
        house.both_are_here()
        return f"{hurt} pages, {counts}"


@check()
def a_second_salon_and_files_of_other_versions():
    with Disk() as disk:
        house = House(disk.serve("process"))
        assert house.say() is None
        sentence = refused(disk)
        assert f"process {house.server.pid}" in sentence, sentence
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        with sqlite3.connect(disk.file) as file:
            version, = file.execute("PRAGMA user_version").fetchone()
        file.close()

        def mark(number):
            with open(disk.file, "r+b") as file:
                file.seek(60)
                file.write(struct.pack(">I", number))

        mark(version + 1)
        assert "newer" in refused(disk)
        mark(version)
        house.server = disk.serve("process")
        house.is_all_there(disk)


def checked(file, before=()):
    """The status of `salon check` and what it says of the store."""
    command = [*before, harness.SALON, "check", "--listen", "127.0.0.1:0", "--admin", "off", "--store", file]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=harness.PATIENCE)
    lines = [line for line in ended.stdout.splitlines() if " store: " in line]
    return ended.returncode, lines


@check(needs=["mount"])
def one_store_has_one_salon_whatever_it_is_called():
    private_mounts()
    with Disk() as disk:
        folder = os.path.dirname(disk.file)
        house = House(disk.serve("process"))
        assert house.say() is None

        def place(name):
            made = os.path.join(disk.folder, name)
            os.mkdir(made)
            return made

        def bind(what, where):
            made = subprocess.run(["mount", "--bind", what, where], capture_output=True, text=True)
            if made.returncode:
                raise Skip(f"no bind mount: {made.stderr.strip()}")

        # As a second container has it: the folder, the file alone, and the file beside a log and a lock of its own.
        mounted, alone = place("mounted"), os.path.join(place("alone"), "salon.db")
        bind(folder, mounted)
        open(alone, "w").close()
        bind(disk.file, alone)
        os.symlink(folder, os.path.join(disk.folder, "symbolic"))
        os.symlink(disk.file, os.path.join(place("pointed"), "other.db"))
        os.link(disk.file, os.path.join(disk.folder, "hard.db"))
        os.link(disk.file, os.path.join(folder, "hard.db"))
        names = [disk.file, os.path.join(mounted, "salon.db"), alone, os.path.join(disk.folder, "symbolic", "salon.db"),
                 os.path.join(disk.folder, "pointed", "other.db"), os.path.join(disk.folder, "hard.db"),
                 os.path.join(folder, "hard.db"), os.path.join(mounted, "hard.db"),
                 os.path.join(folder, "..", "store", ".", "salon.db")]
        held = sorted(os.listdir(folder))
        for name in names:
            # Another process namespace, as another container is.
            for before in ([], ["unshare", "--pid", "--fork", "--mount-proc"]):
                command = [*before, harness.SALON, "serve", "--listen", "127.0.0.1:0", "--admin", "off"]
                ended = subprocess.run([*command, "--store", name], capture_output=True, text=True,
                                       timeout=harness.PATIENCE)
                assert ended.returncode == 2 and "in use by" in ended.stderr, (name, before, ended)
                assert len(ended.stderr.splitlines()) == 1, ended.stderr
            status, said = checked(name)
            assert status == 1 and "in use by" in said[0], (name, said)
        assert sorted(os.listdir(folder)) == held, os.listdir(folder)
        assert os.listdir(os.path.dirname(alone)) == ["salon.db"], os.listdir(os.path.dirname(alone))
        assert house.say() is None
        house.both_are_here()
        return f"{len(names)} names"


@check(needs=["mount"])
def check_says_that_the_disk_is_full():
    private_mounts()
    with Disk() as disk:
        folder = os.path.dirname(disk.file)
        mount(folder, "size=1m", "mode=700")
        status, said = checked(disk.file)
        assert status == 0 and "none yet" in said[0], said
        filler = os.path.join(folder, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        status, said = checked(disk.file)
        assert status == 1 and any("disk is full" in line and line.startswith("error") for line in said), said
        # A start says so too, and leaves nothing there.
        ended = subprocess.run([harness.SALON, "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store",
                                disk.file], capture_output=True, text=True, timeout=harness.PATIENCE)
        assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1, ended
        assert "the disk is full" in ended.stderr, ended
        assert os.listdir(folder) == ["filler"], os.listdir(folder)
        os.unlink(filler)
        assert checked(disk.file)[0] == 0
        house = House(disk.serve("process"))
        assert house.say() is None


@check(needs=["setpriv"], root=True)
def a_store_of_another_owner_is_refused_and_left_as_it_is():
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with Disk() as disk:
        folder = os.path.dirname(disk.file)
        if subprocess.run([*nobody, harness.SALON, "--version"], capture_output=True).returncode:
            raise Skip("nobody may not run the binary")
        house = House(disk.serve("process"))
        assert house.say() is None
        house.server.signal("TERM")
        assert house.server.process.wait() == 0
        os.chmod(disk.folder, 0o755)

        def refuses(words):
            before = sorted(os.listdir(folder))
            status, said = checked(disk.file, nobody)
            assert status == 1 and any(words in line for line in said), said
            ended = subprocess.run([*nobody, harness.SALON, "serve", "--listen", "127.0.0.1:0", "--admin", "off",
                                    "--store", disk.file], capture_output=True, text=True, timeout=harness.PATIENCE)
            assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1, ended
            assert words in ended.stderr, ended.stderr
            assert sorted(os.listdir(folder)) == before, (before, os.listdir(folder))

        # Its folder, then the file, then what is made anew beside it: the lock, which must be the owner's.
        refuses("Permission denied")
        os.chmod(folder, 0o777)
        refuses("Permission denied")
        os.chmod(disk.file, 0o666)
        refuses("Permission denied")
        for name in os.listdir(folder):
            if name != "salon.db":
                os.unlink(os.path.join(folder, name))
        refuses("cannot be given to the user and group")
        # Root uses it as before; nothing that was left is in the way.
        house.server = disk.serve("process")
        house.is_all_there(disk)
