"""A redis-server of the checks' own, and the few commands they give it."""

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import PATIENCE, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """One that keeps all it has acknowledged in a file (`appendfsync always`), in a folder that goes with it."""

    def __init__(self, *options):
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="salon-nodes-")
        self.options = options
        self.process = None
        self.start()

    @classmethod
    def authority(cls):
        """The certificate that vouches for servers with TLS."""
        if not hasattr(cls, "_tls"):
            cls._tls = tempfile.mkdtemp(prefix="salon-nodes-")
            atexit.register(shutil.rmtree, cls._tls, True)
            key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            make = (["req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem",
                     "-subj", "/CN=salon nodes"],
                    ["req", *key, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=localhost"],
                    ["x509", "-req", "-in", "redis.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-out", "redis.pem", "-extfile", "san"])
            with open(f"{cls._tls}/san", "w") as san:
                san.write("subjectAltName=DNS:localhost")
            for command in make:
                subprocess.run(["openssl", *command], cwd=cls._tls, check=True, capture_output=True)
        return f"{cls._tls}/ca.pem"

    @classmethod
    def with_tls(cls):
        cls.authority()
        port = free_port()
        secure = cls("--tls-port", str(port), "--tls-cert-file", f"{cls._tls}/redis.pem", "--tls-key-file",
                     f"{cls._tls}/redis.key", "--tls-auth-clients", "no")
        secure.tls_port = port
        return secure

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always", *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(self.answers, "redis-server answers")

    def answers(self):
        try:
            return self.call("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def call(self, *words):
        """One command over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as stream:
            parts = [str(word).encode() for word in words]
            stream.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            with stream.makefile("rb") as answers:
                return self._answer(answers)

    def _answer(self, file):
        line = file.readline().rstrip(b"\r\n")
        if not line:
            raise OSError("the connection ended")
        kind, rest = line[:1], line[1:].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._answer(file) for _ in range(int(rest))]
        return rest

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lose_its_file(self):
        shutil.rmtree(self.folder)
        import os
        os.mkdir(self.folder)

    def freeze(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
