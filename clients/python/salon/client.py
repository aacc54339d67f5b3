"""The client: one connection that is kept up, and what goes over it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from . import answers
from .events import (
    Announcement,
    ConnectionState,
    Deleted,
    Direct,
    Edited,
    Error,
    Event,
    Goodbye,
    JoinDelayed,
    JoinRefused,
    Left,
    Message,
    OnlineUsers,
    Presence,
    Reaction,
    Read,
    Refused,
    SalonError,
    Sent,
    Stalled,
    State,
    Status,
    Typing,
    UserJoined,
    UserLeft,
    Welcome,
    read,
)
from .outbox import Outbox, Outgoing, pace
from .queue import EventQueue
from .requests import Requests
from .rooms import BACKOFF_BASE, Entry, Joining, Position, Rooms
from .text import encode, normal_name, well_formed

StatusWord = Literal["online", "away", "busy", "offline"]


class Client:
    """A session at a Salon server, which comes back by itself after any cut.

    `url` is the address of `/ws`. `user` names us where names are free; `token` proves who we are elsewhere. `status`
    is ours, with its note, and sent behind each welcome. `outbox` is what a former client had not got confirmed
    (`Outgoing.saved`). `events` is how many of them may wait for the program before the client reads slowly; with 0
    none are kept, for a program that only says and asks. `options` go to `websockets.connect`: `ssl`, `proxy` and the
    like.

    `async with` connects and leaves; `async for` gives out events, until the client is closed for good. What is said
    (`say`, `direct`, `multicast`, `edit`, `delete`, `react`) needs no connection: it is kept until the server has it,
    in order, and sent again with the same `id`, so that it is done once. Nothing has to be awaited; `await` waits for
    the server's word. What is asked (all that is `async`) waits for a connection, and raises `SalonError`: with a code
    of the server, `disconnected`, `timeout` (15 s) or `overloaded`.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        token: str | None = None,
        status: tuple[StatusWord, str] | None = None,
        outbox: Iterable[Mapping[str, Any]] = (),
        events: int = 1024,
        options: Mapping[str, Any] | None = None,
        random: random.Random | None = None,
    ) -> None:
        self._url = url
        self._user = normal_name(user) if user else None
        self._token = token
        self._options = {**CONNECT_OPTIONS, **(options or {})}
        self._random = random or DEFAULT_RANDOM
        self._queue = EventQueue(events)
        self._life: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()  # ends a wait for the next connection
        # Of the connection.
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
        self._stalled = False
        self._welcomed_at = math.inf
        self._welcome: Welcome | None = None
        self._goodbye: Goodbye | None = None
        self._attempts = 0
        self._hurried = False  # a 42xx was followed at once; the next is not, unless the connection was stable between
        # Of the session.
        self._requests = Requests(self._stirred.set)
        self._rooms = Rooms(self._random.random)
        self._wanted = status  # what was set by `set_status`
        self._outbox = Outbox()
        for entry in outbox:
            self._outbox.put(Outgoing(self._queue, **{**entry, "message": dict(entry["message"])}))

    # The connection, from outside -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Client:
        self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Client:
        return self

    async def __anext__(self) -> Event:
        event = await self._queue.get()
        if event is not None:
            return event
        if self._life is not None and self._life.done() and not self._life.cancelled():
            self._life.result()  # a mistake of this client is told, not kept
        raise StopAsyncIteration

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

    @property
    def user_id(self) -> str | None:
        """Our name by the server's word; until it has spoken, the name that we asked for."""
        return self._welcome.user_id if self._welcome else self._user

    @property
    def limits(self) -> Mapping[str, Any]:
        """The limits of the server (`welcome.limits`); nothing is known before `Welcome`."""
        return self._welcome.limits if self._welcome else {}

    async def authenticate(self, token: str) -> answers.Ack | None:
        """Shows another token of the same user: now, and at every connection from now on. The time for it is before
        `Welcome.expires_at`, and at the latest when an `Error` says `token_expired`; after that it takes `connect` to
        come back. One that the server refuses changes nothing. None without a connection."""
        before, self._token = self._token, token
        if self._state != "connected":
            return None
        self._shown = token

        def refused() -> None:
            if self._token == token:
                self._token = self._shown = before

        answer: answers.Ack = await self._settle("auth", refused, token=token)
        return answer

    # Rooms ----------------------------------------------------------------------------------------------------------

    def join(self, room_id: str, *, history: int = 0, since: Position | None = None) -> Joining:
        """Joins a room and stays in it over reconnects; before or after `connect`. `history` asks for the last n
        messages (at most 200), `since` resumes where a former client stopped. `await` waits until we are in."""
        room = self._rooms.want(normal_name(room_id), self._queue, history, since)
        self._stirred.set()
        return room.joining

    async def leave(self, room_id: str) -> None:
        """Leaves a room, which is not joined again, also if this is cancelled. What is on the outbox for it is refused.
        Without a connection we are in no room."""
        name = normal_name(room_id)
        room, answer = self._rooms.get(name), None
        # It is sent at once, before any join that comes after it; and no join of the room is sent before its answer.
        if self._state == "connected" and (room is None or room.joined or room.asked is not None):
            answer = self._requests.leave_of(name) or self._ask_at_once("leave", room_id=name)
        self._forget(name, SalonError("not_joined", "We have left the room"))
        if answer is not None:
            await self._queue.wait(asyncio.shield(answer))

    def position(self, room_id: str) -> Position | None:
        """The place of the last entry given out, for a later `since`; None before the room was joined."""
        room = self._rooms.get(normal_name(room_id))
        return Position(room.epoch, room.seq) if room and room.epoch is not None else None

    def has(self, room_id: str) -> bool:
        """Whether we are in a room or on the way into it: false once a join was refused."""
        return self._rooms.get(normal_name(room_id)) is not None

    def is_joined(self, room_id: str) -> bool:
        """Whether we are in a room."""
        room = self._rooms.get(normal_name(room_id))
        return room is not None and room.joined

    # What we say, and do to what was said ---------------------------------------------------------------------------

    @property
    def outbox(self) -> list[Outgoing]:
        """What is not confirmed yet, in the order in which it was said; at most 200."""
        return list(self._outbox)

    def say(self, room_id: str, content: str, *, reply_to: int | None = None, epoch: str | None = None) -> Outgoing:
        """Says something in a room, once we are in it; in "*", to everybody. `reply_to` is the `seq` of the message
        that it answers; if the room begins anew before it is said, it answers none. `epoch` is that of the message, if
        it is not of now. Raises `overloaded` if 200 are on the outbox, as all of these do."""
        return self._enqueue("broadcast", epoch, room_id=room_id, content=content, reply_to=reply_to)

    def direct(self, user_id: str, content: str, *, reply_to: int | None = None) -> Outgoing:
        """Says something to one person."""
        return self._enqueue("direct", None, user_id=user_id, content=content, reply_to=reply_to)

    def multicast(self, user_ids: Iterable[str], content: str) -> Outgoing:
        """Says something to up to 100 people. `Sent.answer` has who heard it (`delivered`), and who will (`stored`)."""
        return self._enqueue("multicast", None, user_ids=[normal_name(name) for name in user_ids], content=content)

    def edit(
        self, of: int, content: str, *, room_id: str | None = None, user_id: str | None = None, epoch: str | None = None
    ) -> Outgoing:
        """Gives a message of ours another text. `of` is its `seq`, in a room or with a person; as below. It is refused
        (`epoch_changed`) if the room begins anew before it is done. `epoch` is that of the message, if not of now."""
        return self._enqueue("edit", epoch, **_place(room_id, user_id), of=of, content=content)

    def delete(
        self, of: int, *, room_id: str | None = None, user_id: str | None = None, epoch: str | None = None
    ) -> Outgoing:
        """Deletes a message."""
        return self._enqueue("delete", epoch, **_place(room_id, user_id), of=of)

    def react(
        self,
        of: int,
        emoji: str,
        on: bool = True,
        *,
        room_id: str | None = None,
        user_id: str | None = None,
        epoch: str | None = None,
    ) -> Outgoing:
        """Puts a reaction at a message, or takes it back."""
        return self._enqueue("react", epoch, **_place(room_id, user_id), of=of, emoji=emoji, on=on)

    def discard(self, entry: Outgoing) -> None:
        """Takes something off the outbox that is not confirmed yet. It may have been done all the same."""
        if not entry.done:
            self._outbox.take(entry)
            entry.settle(SalonError("unconfirmed", "It was taken off the outbox"))

    def typing(self, typing: bool, *, room_id: str | None = None, user_id: str | None = None) -> None:
        """Sends that we are typing, or are no longer. There is no answer."""
        if self._state == "connected":
            self._transmit({"type": "typing", **_place(room_id, user_id), "typing": typing})

    # What we ask ----------------------------------------------------------------------------------------------------

    async def request(self, type: str, **fields: Any) -> Any:
        """Sends any request of `docs/wire.md`, once there is a connection, and returns its answer. Fields that are None
        are left out. One that came too fast (`rate_limited`) is sent again when it may be."""
        request = self._requests.open(type, fields)
        self._stirred.set()
        return await self._queue.wait(request.answer)

    async def history(
        self,
        *,
        room_id: str | None = None,
        user_id: str | None = None,
        before: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        epoch: str | None = None,
    ) -> answers.History:
        """A page of messages as they stand: of a room that we are in, or of what we and a person have written."""
        bounds = {"before": before, "after": after, "limit": limit, "epoch": epoch}
        page: answers.History = await self.request("history", **_place(room_id, user_id), **bounds)
        return page

    async def read(self, seq: int, *, room_id: str | None = None, user_id: str | None = None) -> answers.Ack:
        """We have read a conversation up to `seq`, on all our devices; 0 takes the mark away."""
        answer: answers.Ack = await self.request("read", **_place(room_id, user_id), seq=seq)
        return answer

    async def conversations(self, *, limit: int | None = None, cursor: str | None = None) -> answers.Conversations:
        """A page of those with whom we have spoken, the latest first."""
        page: answers.Conversations = await self.request("conversations", limit=limit, cursor=cursor)
        return page

    async def search(
        self,
        text: str,
        *,
        room_id: str | None = None,
        user_id: str | None = None,
        sender: str | None = None,
        before: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> answers.Found:
        """Messages that have all the words of `text`, the newest first; without a place, in all our conversations."""
        place = _place(room_id, user_id) if room_id is not None or user_id is not None else {}
        narrowed = {"sender": sender, "before": before, "limit": limit, "cursor": cursor}
        page: answers.Found = await self.request("search", **place, text=text, **narrowed)
        return page

    async def members(self, room_id: str, *, limit: int | None = None, cursor: str | None = None) -> answers.Members:
        """The people in a room that we are in."""
        page: answers.Members = await self.request("members", room_id=room_id, limit=limit, cursor=cursor)
        return page

    async def room(self, room_id: str) -> answers.Room:
        """What a room is."""
        answer: answers.Room = await self.request("room", room_id=room_id)
        return answer

    async def rooms(
        self, *, read: bool | None = None, limit: int | None = None, cursor: str | None = None
    ) -> answers.Rooms:
        """A page of all rooms. With `read`, also those that we are not in have `read` and `unread`, if we have read
        something there."""
        page: answers.Rooms = await self.request("rooms", read=read, limit=limit, cursor=cursor)
        return page

    async def create_room(self, room_id: str, *, name: str | None = None, topic: str | None = None) -> answers.Room:
        """Makes a room, without joining it. `name` is a title."""
        answer: answers.Room = await self.request("create_room", room_id=room_id, name=name, topic=topic)
        return answer

    async def online(self, *, limit: int | None = None, cursor: str | None = None) -> answers.Online:
        """A page of users who are here."""
        page: answers.Online = await self.request("online", limit=limit, cursor=cursor)
        return page

    async def presence(
        self, *, user_ids: Iterable[str] | None = None, room_id: str | None = None, subscribe: bool | None = None
    ) -> answers.PresenceState:
        """How people are, or those in a room. `subscribe` watches them (`Presence`, until the connection ends), or ends
        that."""
        names = None if user_ids is None else list(user_ids)
        answer: answers.PresenceState = await self.request(
            "presence", user_ids=names, room_id=room_id, subscribe=subscribe
        )
        return answer

    async def set_status(self, status: StatusWord, note: str = "") -> None:
        """Sets our status, and sends it again after a reconnect. Without a connection it is sent when there is one."""
        before, self._wanted = self._wanted, (status, note)
        if self._state != "connected":
            return

        def refused() -> None:
            if self._wanted == (status, note):
                self._wanted = before  # it is not sent again

        await self._settle("status", refused, status=status, note=note or None)

    # The life of the connection -------------------------------------------------------------------------------------

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

    async def _serve(self) -> _End:
        """Opens a connection and serves it to its end."""
        self._goodbye = None
        self._shown = token = self._token
        self._set_state("connecting")
        in_head = token is not None and len(token) <= TOKEN_IN_HEAD and HEADER_VALUE.fullmatch(token) is not None
        headers = {"Authorization": f"Bearer {token}"} if in_head else None
        try:
            socket = await _Opening(self._address(), additional_headers=headers, **self._options)
        except (InvalidURI, ValueError) as error:
            return _End(None, str(error))
        except InvalidStatus as error:
            status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
            # 400 is what the server says of a name that breaks the rules: it will not be another one next time.
            return _End(None if status == 400 else 1006, _reason(error), float(after) if after.isdecimal() else 0)
        except (OSError, asyncio.TimeoutError, WebSocketException) as error:
            return _End(1006, str(error) or type(error).__name__)
        self._connection += 1
        self._socket = socket
        self._heard = time.monotonic()
        self._asked = self._probed = None
        self._reading = True
        self._rooms.begin()
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
        except _Dropped as dropped:
            return _End(dropped.code, dropped.reason)
        except ConnectionClosed as closed:
            return _End(closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else "")
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

    def _address(self) -> str:
        """`url` with our name, where no token says it, and a status that must hold from the first moment."""
        parts = urlsplit(self._url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if self._token is None and self._user is not None:
            query.append(("user", well_formed(self._user)))
        if self._wanted and self._wanted[0] in ("away", "busy", "offline"):
            query.append(("status", self._wanted[0]))
        return urlunsplit(parts._replace(query=urlencode(query)))

    def _after(self, end: _End) -> float | None:
        """What follows the end of a connection: a wait in seconds, or None where it was the last one."""
        if end.code == MESSAGE_TOO_BIG and (largest := self._outbox.largest(self._connection)):
            self._refuse(largest, SalonError("too_large", "The server takes no message of that length"))
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
        self._rooms.lose(self._queue)
        self._requests.lose()

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
                raise _Dropped(1006, f"The server has sent what cannot be read: {error!r}") from error

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
                wake = min(self._pump_joins(now), self._pump_requests(now))
                if self._reading:  # else nothing would be heard of it
                    wake = min(wake, self._pump_outbox(now))
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
                raise _Dropped(1006, "The server does not answer")
        elif self._probed is not None:
            if now - self._probed > PONG_WITHIN:
                raise _Dropped(1006, "The server has gone silent")
            if now - self._probed > STALLED_AFTER:
                self._set_stalled(True)
        else:
            silent = now - self._heard > (self._welcome.ping_interval_ms / 1000 if self._welcome else PING_AFTER)
            if silent or (self._asked is not None and now - self._asked > PING_UNANSWERED_AFTER):
                self.probe()
        return now + LIVENESS_TICK

    def _pump_joins(self, now: float) -> float:
        speaking = {entry.room_id for entry in self._outbox if entry.room_id is not None}
        turn = self._rooms.turn(now, self.limits, speaking, lambda name: self._requests.leave_of(name) is not None)
        for message in turn.send:
            self._transmit(message)
        return turn.wake

    def _pump_outbox(self, now: float) -> float:
        def epoch_of(name: str) -> str | None:
            room = self._rooms.get(name)
            return "" if name == "*" else room.epoch if room and room.joined else None

        turn = self._outbox.turn(now, time.time(), self._connection, self.limits, epoch_of)
        for entry, error in turn.refuse:
            self._refuse(entry, error)
        for message in turn.send:
            self._transmit(message)
        return turn.wake

    def _pump_requests(self, now: float) -> float:
        turn = self._requests.turn(now)
        for message in turn.send:
            self._transmit(message)
        return turn.wake

    def _transmit(self, message: Mapping[str, Any]) -> None:
        """Puts a message behind those that are to be sent."""
        if len(self._unsent) >= UNSENT_MAX:
            return  # what is not answered is sent again, or fails
        if message["type"] != "typing" and self._asked is None:
            self._asked = time.monotonic()
        self._unsent.append(encode(message))
        self._sendable.set()

    # What the server says -------------------------------------------------------------------------------------------

    def _handle(self, message: dict[str, Any]) -> None:
        kind, id, room_id = message.get("type"), message.get("id"), message.get("room_id")
        room = self._rooms.get(room_id)
        entry = self._outbox.get(id)
        # What is said of a room that we are neither in nor on the way into was on its way when we left it.
        foreign = room_id is not None and room_id != "*" and room is None
        match kind:
            case "welcome":
                return self._handle_welcome(message)
            case "error":
                return self._handle_error(message)
            case "ack":
                if entry is not None:
                    return self._confirm(entry, message)
            case "joined":
                if room is None:
                    self._leave_again(message["room_id"])
                else:
                    self._put(self._rooms.entered(room, message, time.monotonic()))
                    self._stirred.set()
            case "broadcast" | "edited" | "deleted" | "reaction":
                if room is not None:
                    for event in room.hear(ENTRIES[kind], message):
                        self._put(event)
                elif room_id == "*":
                    self._put(read(Announcement, message))
                elif foreign:
                    self._leave_again(message["room_id"])
                else:
                    self._put(read(ENTRIES[kind], message))
                # An `id` may stand on everybody's copy; it is an answer only where the sender is us.
                if entry is not None and message.get("sender") == self.user_id:
                    return self._confirm(entry, message)
            case "direct":
                self._put(read(Direct, message))
                if entry is not None and message["sender"] == self.user_id:
                    return self._confirm(entry, message)
            case "left":
                if id is None and not foreign:  # we did not ask: we have been put out
                    self._forget(message["room_id"], SalonError("not_joined", "We have been put out of the room"))
                    return self._put(read(Left, message))
                if room is not None and room.joined:  # a request of the program's own
                    self._forget(message["room_id"], SalonError("not_joined", "We have left the room"))
            case "gap":
                if room is not None:
                    self._put(room.miss(message))
            case "online_users":
                if room is not None:
                    room.end_replay()
                    self._put(read(OnlineUsers, message))
            case "presence":
                if message["user_id"] == self.user_id:
                    self._hold(message["status"], message.get("note", ""))
                self._put(read(Presence, message))
            case "goodbye":
                self._goodbye = read(Goodbye, message)
                self._put(self._goodbye)
            case "read" | "typing" | "user_joined" | "user_left":
                if not foreign:
                    self._put(read(NOTICES[kind], message))
        if request := self._requests.get(id):
            request.answer.set_result(message)

    def _handle_welcome(self, message: dict[str, Any]) -> None:
        if self._shown != self._token:
            raise _Dropped(RECONNECT, "There is another token now")
        self._welcome = read(Welcome, message, resumed=self._welcome is not None)
        self._welcomed_at = time.monotonic()
        self._set_state("connected")
        self._assert_status(self._welcome)
        self._put(self._welcome)
        self._stirred.set()

    def _handle_error(self, message: dict[str, Any]) -> None:
        error, id, now = SalonError.of(message), message.get("id"), time.monotonic()
        self._stirred.set()
        # Before the welcome, only a server that waits for a token sends an error, and we have shown the one we have.
        if self._state == "connecting" and error.code == "unauthorized":
            raise _Dropped(UNAUTHORIZED, str(error))
        rooms = self._rooms.refused(message, error, now, self.limits)
        if rooms is not None:
            for room in rooms:
                if error.retry:
                    self._put(JoinDelayed(room.name, error))
                else:
                    self._forget(room.name, error)
                    self._put(JoinRefused(room.name, error))
        elif entry := self._outbox.get(id):
            if self._outbox.refused(entry, error, now, self._jitter):
                self._refuse(entry, error)
        elif request := self._requests.get(id):
            self._requests.refused(request, error, now, self._random.random() * pace(self.limits))
        else:
            self._put(Error(error))

    def _confirm(self, entry: Outgoing, message: dict[str, Any]) -> None:
        """The server has done what an entry asks."""
        self._stirred.set()
        if message.get("failed"):  # a multicast that the store refused for some: it counts as not done
            error = SalonError("backend_down", "The message was not kept for everybody", retry=True)
            if self._outbox.refused(entry, error, time.monotonic(), self._jitter):
                self._refuse(entry, error)
            return
        self._outbox.take(entry)
        seq = message.get("seq")
        sent = Sent(entry, seq, message.get("ts"), message["type"] == "ack" and "ts" in message, message)
        entry.settle(sent)
        self._put(sent)

    def _refuse(self, entry: Outgoing, error: SalonError) -> None:
        """An entry is given up."""
        self._outbox.take(entry)
        entry.settle(error)
        self._put(Refused(entry, error))

    def _forget(self, name: str, error: SalonError) -> None:
        """We are not in a room and not on the way into it: what is on the outbox for it is refused."""
        self._rooms.forget(name, error)
        for entry in self._outbox:
            if entry.room_id == name:
                self._refuse(entry, error)

    def _leave_again(self, room_id: str) -> None:
        """The server has us in a room that we do not want to be in any more: we were put out of it, or were refused,
        while another join was on its way; or it has not heard that we leave."""
        if self._requests.leave_of(room_id) is None:
            self._ask_aside("leave", room_id=room_id)

    # Our status -----------------------------------------------------------------------------------------------------

    def _assert_status(self, welcome: Welcome) -> None:
        """Behind a welcome: sends our status if the server holds another one, or takes over the one that was set on
        another device."""
        held, wanted = (welcome.status, welcome.note), self._wanted
        if welcome.status is None:
            told = wanted not in (None, ("online", ""))
        elif wanted is None or welcome.note or (welcome.status != "online" and welcome.status != wanted[0]):
            return self._hold(welcome.status, welcome.note)
        else:
            told = held != wanted  # it was forgotten while we were away
        if told and wanted is not None:
            self._ask_aside("status", status=wanted[0], note=wanted[1])

    def _hold(self, status: Any, note: str) -> None:
        """The server holds another status of ours than we knew."""
        if self._wanted != (status, note):
            self._wanted = (status, note)
            self._put(Status(status, note))

    # Helpers --------------------------------------------------------------------------------------------------------

    def _enqueue(self, type: str, epoch: str | None, **fields: Any) -> Outgoing:
        message = {"type": type} | {name: value for name, value in fields.items() if value is not None}
        for name in ("room_id", "user_id"):
            if name in message:
                message[name] = normal_name(message[name])
        if epoch is None and (position := self.position(message.get("room_id", ""))):
            epoch = position.epoch
        numbered = "room_id" in message and ("of" in message or "reply_to" in message)
        entry = Outgoing(self._queue, message, epoch=epoch if numbered else None, queued_at=time.time())
        self._outbox.put(entry)
        self._stirred.set()
        return entry

    def _ask_aside(self, type: str, **fields: Any) -> None:
        """Sends a request of the client's own at once. Nobody waits for the answer; a refusal is an event."""

        def answered(answer: asyncio.Future[Any]) -> None:
            error = answer.exception()
            if isinstance(error, SalonError) and error.code not in ("disconnected", "not_joined"):
                self._put(Error(error))

        try:
            self._ask_at_once(type, **fields).add_done_callback(answered)
        except SalonError as error:
            self._put(Error(error))

    def _ask_at_once(self, type: str, **fields: Any) -> asyncio.Future[Any]:
        """Sends a request before anything that is sent later. Its answer comes, or an error, whether or not somebody
        waits for it."""
        request = self._requests.open(type, fields, sent=True)
        self._transmit(request.message)
        return request.answer

    async def _settle(self, type: str, refused: Callable[[], None], **fields: Any) -> Any:
        """Sends a request that has changed something here, and waits for its answer. If the server refuses it for good,
        `refused` takes that back, also if nobody waits any more."""

        def answered(answer: asyncio.Future[Any]) -> None:
            error = answer.exception()
            if isinstance(error, SalonError) and not error.retry:
                refused()

        answer = self._ask_at_once(type, **fields)
        answer.add_done_callback(answered)
        return await self._queue.wait(asyncio.shield(answer))

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
class _End:
    """How a connection ended. Without a code, there will be no other one; `after` is when the server wants us back."""

    code: int | None
    reason: str
    after: float = 0


class _Dropped(Exception):
    """We end the connection, for a reason of our own."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _place(room_id: str | None, user_id: str | None) -> dict[str, str]:
    """A conversation: a room, or what we and one other person write to each other."""
    if (room_id is None) == (user_id is None):
        raise TypeError("expected one of `room_id` and `user_id`")
    return {"user_id": normal_name(user_id)} if user_id is not None else {"room_id": normal_name(room_id or "")}


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
ENTRIES: dict[str, type[Entry]] = {
    "broadcast": Message,
    "edited": Edited,
    "deleted": Deleted,
    "reaction": Reaction,
}
NOTICES: dict[str, type[Read] | type[Typing] | type[UserJoined] | type[UserLeft]] = {
    "read": Read,
    "typing": Typing,
    "user_joined": UserJoined,
    "user_left": UserLeft,
}
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
