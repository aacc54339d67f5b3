"""The files of a release for one target; see run.sh.

    python release.py FOLDER TARGET WORK        WORK/root is empty; the rest of WORK may be filled

Prints a line for each check and ends with `N passed, M failed`.
"""

import asyncio
import glob
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile

from checks import run
from websockets.asyncio.client import connect

FOLDER, TARGET, WORK = sys.argv[1:]
SOURCES = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
ROOT = f"{WORK}/root"
MACHINE = TARGET.split("-")[0]
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
# Of another architecture: run by qemu, and slower.
BY = [] if MACHINE == platform.machine() else [f"qemu-{MACHINE}-static"]
WAIT = 20 if not BY else 120  # seconds until something that must come is given up
WITHIN = 300  # seconds for a check
VERSION = re.search(r'^version = "(.*)"$', open(f"{SOURCES}/Cargo.toml").read(), re.M)[1]
DEBIAN_VERSION = VERSION.replace("-", "~")
ARCHIVE = f"{FOLDER}/salon-{VERSION}-{TARGET}.tar.gz"
PACKAGE = f"{FOLDER}/salon_{DEBIAN_VERSION}_{ARCHITECTURE}.deb"
IMAGE = f"{FOLDER}/salon-{VERSION}-{ARCHITECTURE}.oci.tar"
MADE = os.path.exists(f"{FOLDER}/SHA256SUMS")  # a whole release
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or
            subprocess.check_output(["git", "-C", SOURCES, "log", "-1", "--format=%ct"]))

UNITS = ["salon.service", "salon.socket"]
SETTINGS = f"{ROOT}/etc/salon/salon.toml"
SALON = [*BY, f"{ROOT}/usr/bin/salon"]
KEPT = f"{ROOT}/var/lib/salon/salon.db"
LINKS = [f"{ROOT}/etc/systemd/system/{wanted}.wants/{unit}"
         for wanted, unit in [("multi-user.target", "salon.service"), ("sockets.target", "salon.socket")]]


def call(*command, timeout=WAIT, **options):
    """What a program printed; if it fails, its own words are the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def members(archive):
    """The files of an archive by name, with their modes; folders too. All belong to root and are of one time."""
    found = {}
    for member in archive:
        assert (member.uid, member.gid, member.mtime) == (0, 0, EPOCH), (member.name, member.get_info())
        assert member.isfile() or member.isdir(), member.name
        found[member.name.removeprefix("./")] = member.mode
    return found


def in_archive(name):
    with tarfile.open(ARCHIVE) as archive:
        return archive.extractfile(f"salon-{VERSION}-{TARGET}/{name}").read()


async def the_archive_holds_the_binary_and_what_belongs_to_it():
    top = f"salon-{VERSION}-{TARGET}"
    with tarfile.open(ARCHIVE) as archive:
        found = members(archive)
    texts = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md", *(f"systemd/{unit}" for unit in UNITS)]
    assert found == {top: 0o755, f"{top}/salon": 0o755, f"{top}/systemd": 0o755,
                     **{f"{top}/{text}": 0o644 for text in [*texts, "LICENSES-OF-PARTS"]}}, found
    for text in texts:
        source = f"contrib/{text}" if text.startswith("systemd/") else text
        assert in_archive(text) == read(f"{SOURCES}/{source}", "rb"), text
    licences = in_archive("LICENSES-OF-PARTS").decode()
    assert re.search(r"^rustls 0\.\S+ \(", licences, re.M) and "tungstenite 0." not in licences, licences[:1000]


async def the_package_holds_the_same_binary():
    contents = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", PACKAGE])
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        found = members(archive)
        binary = archive.extractfile("./usr/bin/salon").read()
        folders = {member.name.removeprefix("./") for member in archive if member.isdir()}
    files = {name: mode for name, mode in found.items() if name not in folders}
    assert all(found[folder] == 0o755 for folder in folders), found
    assert files == {"usr/bin/salon": 0o755} | {name: 0o644 for name in [
        "etc/salon/salon.toml", "usr/lib/systemd/system/salon.service", "usr/lib/systemd/system/salon.socket",
        "usr/lib/sysusers.d/salon.conf", "usr/share/doc/salon/LICENSES-OF-PARTS.gz", "usr/share/doc/salon/NEWS.gz",
        "usr/share/doc/salon/changelog.gz", "usr/share/doc/salon/copyright",
        "usr/share/lintian/overrides/salon"]}, found
    assert binary == in_archive("salon")
    field = {name: call("dpkg-deb", "--field", PACKAGE, name).strip()
             for name in ["Package", "Version", "Architecture"]}
    assert field == {"Package": "salon", "Version": DEBIAN_VERSION, "Architecture": ARCHITECTURE}, field


async def the_binary_needs_nothing_of_its_machine_and_knows_no_path_of_ours():
    binary = in_archive("salon")
    # ELF of 64 bits: where the headers of its segments are, how long one is, and how many there are.
    assert binary[:6] == b"\x7fELF\x02\x01", binary[:6]
    machine, = struct.unpack_from("<H", binary, 18)
    assert machine == {"x86_64": 62, "aarch64": 183}[MACHINE], machine
    offset, (size, count) = struct.unpack_from("<Q", binary, 32)[0], struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, offset + at * size)[0] for at in range(count)]
    assert 1 in kinds and 3 not in kinds, f"it wants a program that loads it: {kinds}"
    if MADE:
        for path in {SOURCES, os.environ.get("CARGO_TARGET_DIR", SOURCES), os.path.expanduser("~/.")}:
            assert path.encode() not in binary, path


def dpkg(*arguments):
    # Its scripts are run from here, and told of the root.
    return call("dpkg", f"--root={ROOT}", "--force-script-chrootless", "--force-depends", "--force-architecture",
                "--force-not-root", "--force-confold", *arguments)


async def dpkg_installs_it():
    for folder in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        os.makedirs(f"{ROOT}/{folder}")
    open(f"{ROOT}/var/lib/dpkg/status", "w").close()
    dpkg("--install", PACKAGE)
    assert [link for link in LINKS if not os.path.islink(link)] == [], "units that do not start with the machine"
    user = next(line for line in read(f"{ROOT}/etc/passwd").splitlines() if line.startswith("salon:"))
    assert user.split(":")[5:] == ["/var/lib/salon", "/usr/sbin/nologin"], user
    assert os.stat(SETTINGS).st_mode & 0o777 == 0o644
    assert dpkg("--verify", "salon") == ""


async def its_unit_is_that_of_contrib_but_for_paths_and_the_user():
    ours = read(f"{SOURCES}/contrib/systemd/salon.service").replace("/usr/local/bin/", "/usr/bin/").splitlines()[2:]
    at = ours.index("DynamicUser=yes")
    ours[at:at + 1] = ["User=salon", "Group=salon", "RemoveIPC=yes"]
    packed = read(f"{ROOT}/usr/lib/systemd/system/salon.service")
    assert packed.splitlines()[1:] == ours, packed
    assert not re.search("usr/local|DynamicUser|^# .* Copy", packed, re.M), packed


async def systemd_finds_nothing_wrong_with_its_units():
    # What they want of the system must be there too: the machine's own, of which only names matter.
    folder = f"{WORK}/units"
    shutil.copytree(f"{ROOT}/usr/lib/systemd/system", folder)
    program = f"{WORK}/salon"
    shutil.copy(f"{ROOT}/usr/bin/salon", program)
    for unit in UNITS:
        text = read(f"{folder}/{unit}").replace("/usr/bin/salon", program)
        with open(f"{folder}/{unit}", "w") as file:
            file.write(text)
    words = subprocess.run(["systemd-analyze", "verify", "--man=no", *(f"{folder}/{unit}" for unit in UNITS)],
                           capture_output=True, text=True, timeout=WAIT)
    said = [line for line in words.stderr.splitlines() if "salon" in line]
    assert words.returncode == 0 and said == [], words.stderr


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def with_ports_of_our_own():
    return ["--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]


async def salon_check_accepts_its_settings():
    said = call(*SALON, "check", "--config", SETTINGS, "--store", f"{WORK}/check.db", *with_ports_of_our_own())
    assert f"ok       settings: {SETTINGS}" in said and "Salon can serve like this." in said, said


async def each_setting_in_their_comments_is_one_that_there_is():
    text, count = re.subn(r"^#(?=[a-z_]+ = )", "", read(SETTINGS), flags=re.M)
    assert count > 10, text
    with open(f"{WORK}/all.toml", "w") as file:
        file.write(text)
    said = call(*SALON, "config", "--config", f"{WORK}/all.toml")
    assert said.count("all.toml line ") == count, said


async def it_says_its_version_serves_and_keeps_a_message():
    assert call(*SALON, "--version") == f"salon {VERSION}\n"
    os.makedirs(os.path.dirname(KEPT))
    port = free_port()
    process = subprocess.Popen([*SALON, "serve", "--config", SETTINGS, "--store", KEPT, "--admin", "off",
                                "--listen", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True)
    try:
        # It prints its address when it listens.
        await asyncio.wait_for(asyncio.to_thread(
            lambda: next(line for line in process.stderr if f"127.0.0.1:{port}" in line)), WAIT)
        async with connect(f"ws://127.0.0.1:{port}/ws/den?username=ada", proxy=None, open_timeout=WAIT) as ada:
            await ada.send("hello from the release")
            async with asyncio.timeout(WAIT):
                while (heard := json.loads(await ada.recv())).get("content") != "hello from the release":
                    pass
            assert (heard["username"], heard["room"]) == ("ada", "den"), heard
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT) == 0
    finally:
        process.kill()
        process.wait()
    said = call(*SALON, "store", "export", "--store", KEPT)
    assert "hello from the release" in said, said


async def an_upgrade_keeps_settings_that_were_changed():
    with open(SETTINGS, "a") as file:
        file.write("max_connections = 7\n")
    dpkg("--install", PACKAGE)
    assert read(SETTINGS).endswith("max_connections = 7\n")


def configured(previous, settings, runs=0, fails=False, files=None, sockets=("127.0.0.1:8080",), tls=()):
    """What the script behind an installation asks of systemd, on a machine that has it, and its words.

    It runs with a /run and an /etc of its own, and programs that would act on this machine only write down the call.
    The process `runs` is the Salon that runs; `fails`: the one behind it does. `files` lie beside the settings, each of
    these modes, and belong to root. `sockets` are where salon.socket listens, `tls` where one that is called so does.
    """
    calls, fakes = f"{WORK}/calls", f"{WORK}/fakes"
    os.makedirs(fakes, exist_ok=True)
    open(calls, "w").close()
    for name in ("systemctl", "systemd-sysusers", "deb-systemd-helper", "deb-systemd-invoke"):
        with open(f"{fakes}/{name}", "w") as file:
            listen = {unit: "\\n".join(f"{place} (Stream)" for place in places)
                      for unit, places in (("salon", sockets), ("tls", tls))}
            file.write(f'#!/bin/sh\necho "{name} $*" >>{calls}\ncase $* in *MainPID*) echo {runs} ;; '
                       f'*TriggeredBy*) echo salon.socket {"tls.socket" if tls else ""} ;; '
                       f'*FileDescriptorName*tls.socket) echo tls ;; *FileDescriptorName*) echo salon.socket ;; '
                       f"*Listen*tls.socket) printf '{listen['tls']}\\n' ;; "
                       f"*Listen*) printf '{listen['salon']}\\n' ;; "
                       f'*is-failed*) exit {0 if fails else 1} ;; esac\n')
        os.chmod(f"{fakes}/{name}", 0o755)
    with open(f"{WORK}/settings.toml", "w") as file:
        file.write(settings)
    # The binary lies where it belongs; one that lies before it on the path is another's.
    with open(f"{fakes}/salon", "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(f"{fakes}/salon", 0o755)
    made = "".join(f"echo {'0123456789abcdef' * 4} >/etc/salon/{name} && chmod {mode:o} /etc/salon/{name} && "
                   for name, mode in (files or {}).items())
    script = (f"mount -t tmpfs none /run && mkdir -p /run/systemd/system && "
              f"mount -t overlay none -o lowerdir={ROOT}/usr/bin:/usr/bin /usr/bin && "
              f"mkdir /run/users && cp {ROOT}/etc/passwd {ROOT}/etc/group /run/users && "
              f"mount -t tmpfs -o mode=755 none /etc && cp /run/users/* /etc && "
              f"mkdir /etc/salon && cp {WORK}/settings.toml /etc/salon/salon.toml && "
              f"chmod 644 /etc/salon/salon.toml && {made}"
              f"exec sh {ROOT}/var/lib/dpkg/info/salon.postinst configure {previous}")
    # What stands in the environment of whoever upgrades is nothing to it.
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=WAIT,
                          env={"PATH": f"{fakes}:{os.environ['PATH']}", "SALON_AUTH": "jwt", "SALON_OPEN": "true",
                               "SALON_AUTH_KEY": "HS256:/etc/salon/secret", "SALON_ADMIN_KEY": "/etc/salon/secret"})
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("deb-systemd-invoke ") for line in read(calls).splitlines()
            if line.startswith("deb-systemd-invoke ")], done.stderr


async def it_is_started_and_an_upgrade_that_refuses_the_settings_leaves_the_old_one_alone():
    assert configured("", "") == (["start salon.socket salon.service"], "")
    assert configured("0.0.1", "max_connections = 9\n") == (["restart salon.service"], "")
    calls, words = configured("0.0.1", "max_conections = 9\n")
    assert calls == [] and "max_conections" in words and "systemctl restart salon" in words, (calls, words)


async def an_upgrade_that_could_not_serve_with_the_settings_leaves_the_old_one_alone():
    rule = '[[rooms]]\nmatch = "*"\njoin = "role"\n'
    tokens = 'auth = "jwt"\nauth_key = ["HS256:/etc/salon/secret"]\n'
    for settings, words, files in [
            ('topics = "role"\n', "--topics role", {}),
            (rule, "rooms: rule 1", {}),
            ('admin = ["0.0.0.0:8081"]\n', "--admin 0.0.0.0:8081", {}),
            ('tls_cert = ["/etc/salon/none"]\ntls_key = ["/etc/salon/none"]\n', "/etc/salon/none", {}),
            (tokens, "/etc/salon/secret", {}),
            # Root, who upgrades, can read it, and the user salon cannot.
            (tokens, "/etc/salon/secret", {"secret": 0o600}),
            ('store = "redis://127.0.0.1"\nstore_key_file = "/etc/salon/none"\n', "/etc/salon/none", {})]:
        calls, said = configured("0.0.1", settings, files=files)
        assert calls == [] and words in said and "the one that runs is left alone" in said, (settings, calls, said)
    for settings, files in [(tokens + 'topics = "role"\n' + rule, {"secret": 0o644}), ("", {}), ("open = true\n", {})]:
        assert configured("0.0.1", settings, files=files) == (["restart salon.service"], ""), settings
    # So is it where systemd listens as it could not, or where a setting would listen, too.
    for settings, where, word in [
            ("", {"sockets": ["127.0.0.1:8080", "0.0.0.0:8080"]}, "the socket of systemd 0.0.0.0:8080"),
            ('admin = ["127.0.0.1:8443"]\n', {"sockets": ["127.0.0.1:8443"]}, "--admin 127.0.0.1:8443"),
            ("", {"tls": ["127.0.0.1:8443"]}, "a socket of systemd is called tls")]:
        calls, said = configured("0.0.1", settings, **where)
        assert calls == [] and word in said and "the one that runs is left alone" in said, (settings, calls, said)
    for settings, where in [("open = true\n", {"sockets": ["[::]:8080", "/run/salon.sock"]}), ("", {"sockets": []})]:
        assert configured("0.0.1", settings, **where) == (["restart salon.service"], ""), (settings, where)
    # What the unit says to the one that runs holds for the next one, too.
    running = subprocess.Popen(["sleep", "inf"], env={"STATE_DIRECTORY": "/var/lib/salon", "SALON_AUTH": "jwt",
                                                      "SALON_AUTH_KEY": "HS256:/etc/salon/secret", "A": "b c\n'$d\""})
    try:
        assert configured("0.0.1", rule, runs=running.pid, files={"secret": 0o644}) == (["restart salon.service"], "")
        calls, said = configured("0.0.1", rule, runs=running.pid)
        assert calls == [] and "/etc/salon/secret" in said, (calls, said)
    finally:
        running.kill()
        running.wait()


async def a_service_that_fails_behind_an_installation_is_told():
    for previous, call in [("", "start salon.socket salon.service"), ("0.0.1", "restart salon.service")]:
        calls, words = configured(previous, "", fails=True)
        assert calls == [call] and "journalctl -u salon" in words, (calls, words)


async def a_purge_leaves_what_was_said():
    dpkg("--remove", "salon")
    assert os.path.exists(SETTINGS) and not os.path.exists(f"{ROOT}/usr/bin/salon")
    dpkg("--purge", "salon")
    assert not os.path.exists(SETTINGS)
    assert [link for link in LINKS if os.path.lexists(link)] == []
    assert os.path.exists(KEPT)


async def the_same_binary_is_packed_to_the_same_bits():
    again = f"{WORK}/again"
    with open(f"{WORK}/again-salon", "wb") as file:
        file.write(in_archive("salon"))
    call("sh", "-c", 'umask 077 && exec "$@"', "sh", f"{SOURCES}/contrib/package.sh", f"{WORK}/again-salon", TARGET,
         again, env=os.environ | {"TZ": "Asia/Tokyo"}, timeout=WITHIN)
    for path in (ARCHIVE, PACKAGE):
        assert read(path, "rb") == read(f"{again}/{os.path.basename(path)}", "rb"), path


async def the_image_has_the_binary_and_a_place_for_what_is_said():
    with tarfile.open(IMAGE) as archive:
        members(archive)

        def blob(digest):
            name = "blobs/" + digest.replace(":", "/")
            content = archive.extractfile(name).read()
            assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")
            return content

        index = json.load(archive.extractfile("index.json"))
        assert len(index["manifests"]) == 1, index
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        assert (config["os"], config["architecture"]) == ("linux", ARCHITECTURE), config
        assert config["config"]["Entrypoint"] == ["/salon"] and config["config"]["User"] == "65534:65534", config
        found = {}
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer["digest"])))) as files:
                for member in files:
                    found[member.name.strip("/")] = member.isfile() and files.extractfile(member).read()
    assert found == {"salon": in_archive("salon"), "data": False}, {name: bool(file) for name, file in found.items()}


async def the_list_of_parts_names_what_is_in_the_binary_and_no_more():
    text = read(f"{FOLDER}/salon-{VERSION}-{TARGET}.cdx.json")
    bom = json.loads(text)
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "salon"), bom["metadata"]
    parts = {part["name"]: part for part in bom["components"]}
    assert {"libsqlite3-sys", "ring", "rustls", "salon-proto"} <= parts.keys(), parts.keys()
    assert not {"tungstenite", "proptest", "brotli", "windows-sys"} & parts.keys(), parts.keys()
    assert all(part.get("licenses") and part["version"] for part in parts.values())
    assert SOURCES not in text and "/tmp/" not in text


async def the_sums_are_of_all_files():
    call("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", cwd=FOLDER)
    listed = [line.split("  ")[1] for line in read(f"{FOLDER}/SHA256SUMS").splitlines()]
    assert listed == sorted(set(os.listdir(FOLDER)) - {"SHA256SUMS"}), listed
    assert PACKAGE in [f"{FOLDER}/{name}" for name in listed] and glob.glob(f"{FOLDER}/*-made-with.txt")


checks = [the_archive_holds_the_binary_and_what_belongs_to_it, the_package_holds_the_same_binary,
          the_binary_needs_nothing_of_its_machine_and_knows_no_path_of_ours, dpkg_installs_it,
          its_unit_is_that_of_contrib_but_for_paths_and_the_user, salon_check_accepts_its_settings,
          each_setting_in_their_comments_is_one_that_there_is, it_says_its_version_serves_and_keeps_a_message,
          an_upgrade_keeps_settings_that_were_changed]
if shutil.which("systemd-analyze") and not BY:
    checks.append(systemd_finds_nothing_wrong_with_its_units)
else:
    print("skipped - systemd finds nothing wrong with its units: no systemd-analyze, or another architecture")
if not BY and subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0:
    checks += [it_is_started_and_an_upgrade_that_refuses_the_settings_leaves_the_old_one_alone,
               an_upgrade_that_could_not_serve_with_the_settings_leaves_the_old_one_alone,
               a_service_that_fails_behind_an_installation_is_told]
else:
    print("skipped - it is started, and an upgrade ...: no namespace can be made, or another architecture")
checks.append(a_purge_leaves_what_was_said)
if MADE:
    checks += [the_image_has_the_binary_and_a_place_for_what_is_said,
               the_list_of_parts_names_what_is_in_the_binary_and_no_more, the_sums_are_of_all_files]
else:
    checks.append(the_same_binary_is_packed_to_the_same_bits)
run(checks, WITHIN)
