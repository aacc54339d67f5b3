"""One connection at a time: opened, served, watched for silence, and opened again when it has ended.

What is said over it is not known here: `Session` is told what comes, and when something of it may be due.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from .events import ConnectionState, Event, Goodbye, Stalled, State
from .queue import EventQueue
from .rooms import BACKOFF_BASE
from .text import encode


class Connection(ABC):
    """Keeps a connection up. What has its time is done by one task, and what is sent is sent by one."""

    def __init__(
        self, token: str | None, options: Mapping[str, Any] | None, events: int, random: random.Random | None
    ) -> None:
        self._token = token
        self._options = {**CONNECT_OPTIONS, **(options or {})}
        self._random = random or DEFAULT_RANDOM
        self._queue = EventQueue(events)
        self._life: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()  # ends a wait for the next connection
        self._state: ConnectionState = "idle"
        self._connection = 0
        self._shown: str | None = None  # the token that it was opened with
        self._socket: ClientConnection | None = None
        self._unsent: deque[str] = deque()
        self._sendable = asyncio.Event()
        self._stirred = asyncio.Event()  # something may be due earlier than it was
        self._reading = True  # false while the program has to take events first
        self._heard = 0.0
        self._asked: float | None = None  # when something that is answered was sent and nothing was heard since
        self._probed: float | None = None
        self._ping_after = PING_AFTER
        self._stalled = False
        self._welcomed_at = math.inf
        self._goodbye: Goodbye | None = None
        self._attempts = 0
        self._hurried = False  # a 42xx was followed at once; the next is not, unless the connection was stable between

    # What is to be known of the session -----------------------------------------------------------------------------

    @abstractmethod
    def _address(self) -> str:
        """What is to be opened."""

    @abstractmethod
    def _opened(self) -> None:
        """A connection stands; nothing is sent yet."""

    @abstractmethod
    def _handle(self, message: dict[str, Any]) -> None:
        """The server has sent this."""

    @abstractmethod
    def _due(self, now: float) -> float:
        """Sends what is due on a connection that is welcomed. Returns when something may be due next."""

    @abstractmethod
    def _lost(self) -> None:
        """The connection has ended."""

    @abstractmethod
    def _too_big(self) -> None:
        """It has ended because a message was too large for the server."""

    # From outside ---------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connects, or tries again at once when it is waiting to. Comes back after `close`."""
        if self._life is None or self._life.done():
            self._queue.open()
            self._life = asyncio.get_running_loop().create_task(self._live())
            self._life.add_done_callback(self._end)
        elif self._state == "waiting":
            self._hurry.set()

    async def close(self) -> None:
        """Leaves for good. What is on the outbox stays there, and is not sent."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    def probe(self) -> None:
        """Asks for a sign of life now: for the moments when a change of network or a wake from sleep is likely."""
        if self._state == "waiting":
            self._hurry.set()
        elif self._state == "connected" and self._probed is None:
            self._probed = time.monotonic()
            self._transmit({"type": "ping"})
            self._stirred.set()

    @property
    def state(self) -> ConnectionState:
        """Where the connection is: the word of the last `State`."""
        return self._state

    # Its life -------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Connects, serves the connection, waits, and again."""
        try:
            while True:
                await self._queue.room()
                self._hurry.clear()
                wait = self._after(await self._serve())
                if wait is None:
                    return
                await _until(self._hurry, wait)
        finally:
            self._end(self._life)

    def _end(self, life: asyncio.Task[None] | None) -> None:
        """The client is closed: also one that was closed before its life had begun."""
        if life is not self._life:
            return
        if self._state != "closed":
            self._set_state("closed", code=1000)
        self._queue.close()

    async def _serve(self) -> End:
        """Opens a connection and serves it to its end."""
        self._goodbye = None
        self._shown = token = self._token
        self._set_state("connecting")
        in_head = token is not None and len(token) <= TOKEN_IN_HEAD and HEADER_VALUE.fullmatch(token) is not None
        headers = {"Authorization": f"Bearer {token}"} if in_head else None
        try:
            socket = await _Opening(self._address(), additional_headers=headers, **self._options)
        except (InvalidURI, ValueError) as error:
            return End(None, str(error))
        except InvalidStatus as error:
            status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
            # 400 is what the server says of a name that breaks the rules: it will not be another one next time.
            return End(None if status == 400 else 1006, _reason(error), float(after) if after.isdecimal() else 0)
        except (OSError, asyncio.TimeoutError, WebSocketException) as error:
            return End(1006, str(error) or type(error).__name__)
        self._connection += 1
        self._socket = socket
        self._heard = time.monotonic()
        self._asked = self._probed = None
        self._reading = True
        self._opened()
        if token is not None and not in_head:
            self._transmit({"type": "auth", "token": token})
        tasks = [asyncio.ensure_future(part) for part in (self._read(socket), self._tend(), self._write(socket))]
        leaving = True
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            leaving = False
            for task in tasks:
                if task.done():
                    task.result()
            raise AssertionError("a part of the connection ends by an exception")
        except Dropped as dropped:
            return End(dropped.code, dropped.reason)
        except ConnectionClosed as closed:
            return End(closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else "")
        finally:
            for task in tasks:
                task.cancel()
            self._lose()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
                if leaving:
                    await socket.close()
            finally:  # also if that is cancelled in its turn
                socket.transport.abort()  # without the closing handshake, which a peer that is silent would not do

    def _after(self, end: End) -> float | None:
        """What follows the end of a connection: a wait in seconds, or None where it was the last one."""
        if end.code == MESSAGE_TOO_BIG:
            self._too_big()
        if time.monotonic() - self._welcomed_at >= STABLE_AFTER:
            self._attempts, self._hurried = 0, False
        self._welcomed_at = math.inf
        goodbye = self._goodbye
        reason = end.reason or (goodbye.reason if goodbye else "")
        family = (end.code or 0) // 100
        final = family == 40 or (goodbye is not None and not goodbye.reconnect)
        replaced = final and self._shown != self._token  # it was the token before that has ended
        if end.code is None or (final and not replaced):
            self._set_state("closed", code=end.code, reason=reason)
            return None
        if (family == 42 or replaced) and not self._hurried:
            self._hurried = True
            wait = 0.0
        else:
            self._attempts += 1
            wait = max(end.after, goodbye.after_ms / 1000 if goodbye else 0) + self._jitter(self._attempts)
        self._set_state("waiting", retry_in=wait, code=end.code, reason=reason)
        return wait

    def _lose(self) -> None:
        """Nothing of the connection is left but what the next one goes on with."""
        self._socket = None
        self._unsent.clear()
        self._set_stalled(False)
        self._lost()

    def _jitter(self, attempt: int) -> float:
        """Full jitter: anywhere between nothing and the ceiling, so that a thousand clients do not come back in one
        instant."""
        ceiling = min(BACKOFF_MAX, BACKOFF_BASE * 2.0 ** min(attempt - 1, 16))
        return max(0.05, self._random.random() * ceiling)

    async def _read(self, socket: ClientConnection) -> None:
        """Takes what the server sends, as fast as the program takes events."""
        while True:
            if not self._queue.has_room():
                self._reading = False
                await self._queue.room()
                self._reading = True
                self._asked = self._probed = None  # what was silent was us
                self._stirred.set()
            frame = await socket.recv()
            self._heard = time.monotonic()
            self._asked = self._probed = None
            self._set_stalled(False)
            try:
                message = json.loads(frame)
            except ValueError:
                continue  # not ours to judge; a server that speaks JSON never gets here
            try:
                self._handle(message)
            except (AttributeError, KeyError, TypeError) as error:
                raise Dropped(1006, f"The server has sent what cannot be read: {error!r}") from error

    async def _write(self, socket: ClientConnection) -> None:
        """Sends what is to be sent, in its order: the only place that does."""
        while True:
            while self._unsent:
                try:
                    await socket.send(self._unsent.popleft())
                except ConnectionClosed:
                    await asyncio.Event().wait()  # what came before the end is read first
            self._sendable.clear()
            await self._sendable.wait()

    async def _tend(self) -> None:
        """Does what is due: all that has its time is here."""
        opened, asked_for_welcome = time.monotonic(), False
        while True:
            self._stirred.clear()
            now = time.monotonic()
            if self._state == "connected":
                wake = self._due(now)
            else:
                # An open server welcomes at once; one that waits for a token says so when it is asked anything.
                wake = opened + WELCOME_WITHIN
                if now >= wake:
                    if not asked_for_welcome:
                        self._transmit({"type": "ping"})
                        asked_for_welcome = True
                    wake = math.inf
            wake = min(wake, self._check_liveness(now))
            await _until(self._stirred, max(0.005, wake - now))

    def _check_liveness(self, now: float) -> float:
        """Notices a server that has gone silent. Returns when to look again."""
        if not self._reading:
            return now + LIVENESS_TICK
        if self._state == "connecting":
            if now - self._heard > OPEN_WITHIN:
                raise Dropped(1006, "The server does not answer")
        elif self._probed is not None:
            if now - self._probed > PONG_WITHIN:
                raise Dropped(1006, "The server has gone silent")
            if now - self._probed > STALLED_AFTER:
                self._set_stalled(True)
        else:
            unanswered = self._asked is not None and now - self._asked > PING_UNANSWERED_AFTER
            if unanswered or now - self._heard > self._ping_after:
                self.probe()
        return now + LIVENESS_TICK

    def _transmit(self, message: Mapping[str, Any]) -> None:
        """Puts a message behind those that are to be sent."""
        if len(self._unsent) >= UNSENT_MAX:
            return  # what is not answered is sent again, or fails
        if message["type"] != "typing" and self._asked is None:
            self._asked = time.monotonic()
        self._unsent.append(encode(message))
        self._sendable.set()

    def _set_state(self, state: ConnectionState, **detail: Any) -> None:
        self._state = state
        self._put(State(state, **detail))

    def _set_stalled(self, stalled: bool) -> None:
        if stalled != self._stalled:
            self._stalled = stalled
            self._put(Stalled(stalled))

    def _put(self, event: Event) -> None:
        self._queue.put(event)


class _Opening(open_websocket):
    """An opening that goes to no other address than the one that it was asked for: a redirection would take the token
    with it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@dataclass(frozen=True)
class End:
    """How a connection ended. Without a code, there will be no other one; `after` is when the server wants us back."""

    code: int | None
    reason: str
    after: float = 0


class Dropped(Exception):
    """We end the connection, for a reason of our own."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _reason(error: InvalidStatus) -> str:
    """What the server says of an opening that it refuses."""
    body = bytes(error.response.body or b"")[:REASON_MAX].decode(errors="replace").strip()
    return f"HTTP {error.response.status_code}: {body}" if body else f"HTTP {error.response.status_code}"


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, but not for longer than that."""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


def _without_token(record: logging.LogRecord) -> bool:
    """Whether a line of the log has no token in it."""
    return "authorization" not in record.getMessage().lower()


LOG = logging.getLogger("websockets.client.salon")  # at the level debug, it has the heads that are sent
LOG.addFilter(_without_token)
DEFAULT_RANDOM = random.Random()
HEADER_VALUE = re.compile(r"[!-~]+")
TOKEN_IN_HEAD = 4_000  # heads of 8 KiB are common limits of proxies
MESSAGE_MAX = 16 << 20  # bytes of a message of the server: a page of history has 128 KiB of content, or one message
MESSAGE_TOO_BIG = 1009
UNAUTHORIZED = 4001
RECONNECT = 4200
REASON_MAX = 200
BACKOFF_MAX = 20.0
STABLE_AFTER = 5.0
LIVENESS_TICK = 1.0
OPEN_WITHIN = 15.0
CLOSE_WITHIN = 2.0
WELCOME_WITHIN = 0.4
PING_AFTER = 25.0  # until `welcome` says what the server does
PING_UNANSWERED_AFTER = 5.0
STALLED_AFTER = 2.0
PONG_WITHIN = 10.0
# The client sends pings of its own, which are answered in the order of everything else.
CONNECT_OPTIONS: Mapping[str, Any] = {
    "max_size": MESSAGE_MAX,
    "ping_interval": None,
    "open_timeout": OPEN_WITHIN,
    "close_timeout": CLOSE_WITHIN,
    "logger": LOG,
}
UNSENT_MAX = 2_048  # messages behind a socket that takes nothing
