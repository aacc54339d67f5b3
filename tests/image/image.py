"""The image of contrib/Dockerfile around a given binary; see run.sh.

    python image.py WORK        WORK/build has the binary, salon, and an empty folder, data; the rest of WORK may be filled

Prints a line for each check and ends with `N passed, M failed`.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from time import time

from checks import run
from websockets.asyncio.client import connect

WORK = sys.argv[1]
SOURCES = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
STORE = ["--root", f"{WORK}/store", "--runroot", f"{WORK}/run", "--storage-driver", "vfs"]
NAME = "localhost/salon-test"
NOBODY = 65534
WAIT = 20  # seconds until something that must come is given up


def call(*command, **options):
    """What a program printed; if it fails, its own words are the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def buildah(*arguments):
    return call("buildah", *STORE, *arguments)


def podman(*arguments):
    # Where there are both, runc: crun refuses machines with both kinds of control groups.
    runtime = ["--runtime", "runc"] if shutil.which("runc") else []
    return call("podman", *STORE, "--cgroup-manager", "cgroupfs", *runtime, *arguments)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve(port):
    return ["serve", "--listen", f"127.0.0.1:{port}", "--admin", "off"]


async def talk(port, ended):
    """What is asked of any Salon: health, the page, and a message there and back. `ended` tells why nobody answers."""
    deadline = asyncio.get_running_loop().time() + WAIT
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        except OSError:
            if (why := ended()) or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"nobody listens: {why}") from None
            await asyncio.sleep(0.02)
    get = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time", str(WAIT)]
    health = json.loads(call(*get, f"http://127.0.0.1:{port}/health"))
    assert health["status"] == "ok", health
    page = call(*get, f"http://127.0.0.1:{port}/")
    assert page.startswith("<!doctype html>") and "Salon" in page, page[:200]
    async with connect(f"ws://127.0.0.1:{port}/ws/den?username=ada", proxy=None) as ada:
        await ada.send("hello from the image")
        async with asyncio.timeout(WAIT):
            while (heard := json.loads(await ada.recv())).get("content") != "hello from the image":
                pass
        assert (heard["username"], heard["room"]) == ("ada", "den"), heard


def build():
    """Builds it; tells what the image says of itself, and where its root lies."""
    buildah("build", "--isolation", "chroot", "--build-context", f"build={WORK}/build",
            "--file", f"{SOURCES}/contrib/Dockerfile", "--tag", NAME, SOURCES)
    image = json.loads(buildah("inspect", "--type", "image", NAME))
    return image["OCIv1"]["config"], os.path.realpath(buildah("mount", buildah("from", NAME)))


CONFIG, ROOT = build()
SIZE = json.loads(buildah("images", "--json", NAME))[0]["size"]
print(f"# the image: {SIZE}; its binary: {os.path.getsize(f'{ROOT}/salon'):,} bytes")


def in_root():
    return sorted(os.path.join(folder, name)[len(ROOT):] for folder, folders, files in os.walk(ROOT)
                  for name in folders + files)


async def it_holds_one_file_and_a_place_for_another():
    assert in_root() == ["/data", "/salon"], in_root()
    owner = os.stat(f"{ROOT}/data")
    assert (owner.st_uid, owner.st_gid) == (NOBODY, NOBODY), owner


async def it_says_who_runs_what_and_how_it_is_stopped():
    said = {key: CONFIG.get(key) for key in ("User", "Entrypoint", "Cmd", "ExposedPorts", "StopSignal", "Volumes")}
    assert said == {"User": f"{NOBODY}:{NOBODY}", "Entrypoint": ["/salon"], "Cmd": ["serve"],
                    "ExposedPorts": {"8080/tcp": {}}, "StopSignal": "SIGTERM", "Volumes": {"/data": {}}}, said
    assert "SALON_STORE=/data/salon.db" in CONFIG["Env"], CONFIG["Env"]


def by_chroot(*arguments, stdin=subprocess.DEVNULL, **options):
    """As a container would start it, but that not even /proc and /dev are there."""
    return subprocess.Popen(["chroot", f"--userspec={CONFIG['User']}", ROOT, *CONFIG["Entrypoint"], *arguments],
                            stdin=stdin, stderr=subprocess.PIPE, text=True,
                            env=dict(line.split("=", 1) for line in CONFIG["Env"]), **options)


async def it_runs_in_an_empty_root():
    port = free_port()
    with by_chroot(*serve(port)) as process:
        try:
            await talk(port, lambda: process.poll() is not None and process.stderr.read())
            with open(f"/proc/{process.pid}/status") as status:
                status = dict(line.split(":\t", 1) for line in status)
            assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4, status
            assert os.readlink(f"/proc/{process.pid}/root") == ROOT
            process.send_signal(getattr(signal, CONFIG["StopSignal"]))
            assert process.wait(WAIT) == 0, process.stderr.read()
        finally:
            process.kill()
    left = {path: os.stat(ROOT + path).st_mode & 0o777 for path in in_root() if path not in ("/data", "/salon")}
    # The log beside it is empty then, and what it shares is gone or made anew.
    assert "/data/salon.db" in left and all(path.startswith("/data/salon.db") for path in left), left
    assert set(left.values()) == {0o600}, left


async def what_was_said_is_there_when_it_starts_again():
    with by_chroot(*serve(free_port())) as process:
        try:
            greeting = next(line for line in process.stderr if line.startswith("  history "))
            assert "/data/salon.db: 1 messages in 1 rooms" in greeting, greeting
        finally:
            process.kill()


async def a_full_store_and_one_of_many_rooms_need_no_other_folder():
    # A start that renews the epochs of all rooms, and one that lets old messages go, of which there is no copy outside.
    head = '"created":true,"created_at":%d,"epoch":"00000000000000ff","seq":0,"oldest":1,"last_message":0' % (time() * 1000)
    rooms = "".join('{"kind":"room","room_id":"room-%d",%s}\n' % (n, head) for n in range(5000))
    with by_chroot("store", "import", "--store", "/data/many.db", stdin=subprocess.PIPE) as process:
        process.communicate(rooms, timeout=WAIT)
    assert process.returncode == 0
    port = free_port()
    few = ["--store", "/data/many.db", "--store-size", "2MiB", "--history", "10", "--rate", "off",
           "--max-rooms", "10000"]
    with by_chroot(*serve(port), *few) as process:
        try:
            await talk(port, lambda: process.poll() is not None and process.stderr.read())
            async with connect(f"ws://127.0.0.1:{port}/ws?user=bob", proxy=None) as bob:
                await bob.send(json.dumps({"type": "join", "room_id": "den"}))
                for n in range(300):
                    await bob.send(json.dumps({"type": "broadcast", "room_id": "den", "content": "x" * 9000,
                                               "id": f"{n}"}))
                    async with asyncio.timeout(WAIT):
                        while (heard := json.loads(await bob.recv())).get("id") != f"{n}":
                            pass
                    assert heard["type"] == "broadcast", heard
            process.send_signal(getattr(signal, CONFIG["StopSignal"]))
            assert process.wait(WAIT) == 0, process.stderr.read()
        finally:
            process.kill()


async def it_lets_in_nobody_who_was_not_meant():
    with by_chroot("serve", "--listen", "0.0.0.0:0") as process:
        words = process.communicate(timeout=WAIT)[1]
    assert process.returncode == 2 and "--open" in words, (process.returncode, words)


# The network is this machine's, because nothing here listens beyond loopback. The limits are such as need no privilege.
CONTAINER = ["--network", "host", "--read-only", "--cap-drop", "all", "--ulimit", "nofile=1024:1024",
             "--ulimit", "nproc=1024:1024"]


async def it_runs_as_a_container():
    port = free_port()
    # Nothing is said of a volume: it gets one of its own, and nothing else of the container can be written.
    container = podman("run", "--detach", *CONTAINER, NAME, *serve(port))
    try:
        await talk(port, lambda: podman("ps", "--quiet") == "" and podman("logs", container))
        podman("stop", "--time", str(WAIT), container)
        status = podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container)
        assert status == "exited 0", f"{status}: {podman('logs', container)}"
    finally:
        podman("rm", "--force", "--volumes", "--time", "0", container)


checks = [it_holds_one_file_and_a_place_for_another, it_says_who_runs_what_and_how_it_is_stopped,
          it_runs_in_an_empty_root, what_was_said_is_there_when_it_starts_again,
          a_full_store_and_one_of_many_rooms_need_no_other_folder, it_lets_in_nobody_who_was_not_meant]
try:
    podman("run", "--rm", *CONTAINER, NAME, "--version")
    checks.append(it_runs_as_a_container)
except (AssertionError, FileNotFoundError) as error:  # podman is not there, or may start nothing on this machine
    print(f"skipped - {it_runs_as_a_container.__name__.replace('_', ' ')}: {error}")
run(checks, within=120)
