"""`salon top` on a pseudo-terminal: what it draws, hears and leaves behind.

    python3 tests/clients/top_on_a_terminal.py target/release/salon

Standard library only. Starts the server and the view on free loopback ports, and ends both by their process ids.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

SALON = sys.argv[1]
PATIENCE = 30
ALTERNATE, MAIN = b"\x1b[?1049h", b"\x1b[?1049l"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("SALON_", "NO_COLOR"))}
ENVIRONMENT["SALON_STORE"] = "memory"


def serve(admin):
    command = [SALON, "serve", "--listen", "127.0.0.1:0", "--admin", admin, "--log", "off"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True)
    for line in server.stderr:
        if line.strip().startswith("admin"):
            admin = re.search(r"http://([0-9.:]+)/", line)[1]
        if "Ctrl-C" in line:
            return server, admin
    raise SystemExit("the server does not start")


class View:
    """The view on a terminal; `seen` is all that it wrote."""

    def __init__(self, admin, **environment):
        self.seen = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.clear()
            os.environ.update(ENVIRONMENT, TERM="xterm-256color", **environment)
            os.execv(SALON, [SALON, "top", "--admin", admin])
        self.resize(24, 80)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.terminal, keys)

    def until(self, wanted):
        """Reads on until that was written; what came before it is forgotten."""
        end = time.monotonic() + PATIENCE
        while wanted not in self.seen:
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                raise SystemExit(f"{wanted} was expected, but this came: {self.seen!r}")
            try:
                self.seen += os.read(self.terminal, 65536)
            except OSError:  # EIO: the other side is closed.
                raise SystemExit(f"{wanted} was expected before the end: {self.seen!r}")
        before, _, self.seen = self.seen.partition(wanted)
        return before

    def ends(self):
        """It gives the terminal back as it was, and ends with status 0."""
        self.until(MAIN)
        _, status = os.waitpid(self.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        os.close(self.terminal)


server, admin = serve("127.0.0.1:0")
try:
    view = View(admin)
    view.until(ALTERNATE)
    view.until(b"Rooms by fan-out")
    view.until(b"no rooms")
    view.resize(40, 120)
    view.until(b"Rooms by fan-out")
    view.press(b"s")
    view.until("▼".encode())
    # The server goes and comes back.
    server.terminate()
    server.wait()
    view.until(b"trying again")
    server, _ = serve(admin)
    view.until(b"rates")
    view.press(b"q")
    view.ends()

    for end in [lambda view: view.press(b"\x03"), lambda view: os.kill(view.pid, signal.SIGTERM)]:
        view = View(admin, NO_COLOR="1")
        drawn = view.until(b"Rooms by fan-out")
        assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m|\x1b\[38;", drawn), drawn
        end(view)
        view.ends()
finally:
    server.terminate()
    server.wait()
print("ok: drawn, resized, sorted, server away and back, q, Ctrl-C, SIGTERM, no colours")
