"""What a session is, over one connection after the other: its rooms, its outbox, its questions and its status; and
what becomes of each message of the server."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .connection import RECONNECT, UNAUTHORIZED, Connection, Dropped
from .events import (
    Announcement,
    Deleted,
    Direct,
    Edited,
    Error,
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
    Status,
    Topic,
    Typing,
    UserJoined,
    UserLeft,
    Welcome,
    read,
)
from .outbox import Outbox, Outgoing, pace
from .requests import Requests
from .rooms import Entry, Position, Rooms
from .text import normal_name, well_formed

StatusWord = Literal["online", "away", "busy", "offline"]


class Session(Connection):
    """Goes on over every connection where the one before ended."""

    def __init__(
        self,
        url: str,
        *,
        user: str | None,
        token: str | None,
        status: tuple[StatusWord, str] | None,
        outbox: Iterable[Mapping[str, Any]],
        events: int,
        options: Mapping[str, Any] | None,
        random: random.Random | None,
    ) -> None:
        super().__init__(token, options, events, random)
        self._url = url
        self._user = normal_name(user) if user else None
        self._welcome: Welcome | None = None
        self._requests = Requests(self._stirred.set)
        self._rooms = Rooms(self._random.random)
        self._wanted = status  # what was set by `set_status`
        self._outbox = Outbox()
        for entry in outbox:
            self._outbox.put(Outgoing(self._queue, **{**entry, "message": dict(entry["message"])}))

    @property
    def user_id(self) -> str | None:
        """Our name by the server's word; until it has spoken, the name that we asked for."""
        return self._welcome.user_id if self._welcome else self._user

    @property
    def limits(self) -> Mapping[str, Any]:
        """The limits of the server (`welcome.limits`); nothing is known before `Welcome`."""
        return self._welcome.limits if self._welcome else {}

    def position(self, room_id: str) -> Position | None:
        """The place of the last entry given out, for a later `since`; None before the room was joined."""
        room = self._rooms.get(normal_name(room_id))
        return Position(room.epoch, room.seq) if room and room.epoch is not None else None

    # What the connection asks ---------------------------------------------------------------------------------------

    def _address(self) -> str:
        """`url` with our name, where no token says it, and a status that must hold from the first moment."""
        parts = urlsplit(self._url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if self._token is None and self._user is not None:
            query.append(("user", well_formed(self._user)))
        if self._wanted and self._wanted[0] in ("away", "busy", "offline"):
            query.append(("status", self._wanted[0]))
        return urlunsplit(parts._replace(query=urlencode(query)))

    def _opened(self) -> None:
        self._rooms.begin()

    def _lost(self) -> None:
        self._rooms.lose(self._queue)
        self._requests.lose()

    def _too_big(self) -> None:
        if largest := self._outbox.largest(self._connection):
            self._refuse(largest, SalonError("too_large", "The server takes no message of that length"))

    def _due(self, now: float) -> float:
        wake = min(self._pump_joins(now), self._pump_requests(now))
        return min(wake, self._pump_outbox(now)) if self._reading else wake  # else nothing would be heard of it

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
            case "read":  # it says something of us, and not of the room
                self._put(read(Read, message))
            case "topic" | "typing" | "user_joined" | "user_left":
                if not foreign:
                    self._put(read(NOTICES[kind], message))
        if request := self._requests.get(id):
            request.answer.set_result(message)

    def _handle_welcome(self, message: dict[str, Any]) -> None:
        if self._shown != self._token:
            raise Dropped(RECONNECT, "There is another token now")
        self._welcome = read(Welcome, message, resumed=self._welcome is not None)
        self._welcomed_at = time.monotonic()
        self._ping_after = self._welcome.ping_interval_ms / 1000
        self._set_state("connected")
        self._assert_status(self._welcome)
        self._put(self._welcome)
        self._stirred.set()

    def _handle_error(self, message: dict[str, Any]) -> None:
        error, id, now = SalonError.of(message), message.get("id"), time.monotonic()
        self._stirred.set()
        # Before the welcome, only a server that waits for a token sends an error, and we have shown the one we have.
        if self._state == "connecting" and error.code == "unauthorized":
            raise Dropped(UNAUTHORIZED, str(error))
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


ENTRIES: dict[str, type[Entry]] = {
    "broadcast": Message,
    "edited": Edited,
    "deleted": Deleted,
    "reaction": Reaction,
}
NOTICES: dict[str, type[Topic] | type[Typing] | type[UserJoined] | type[UserLeft]] = {
    "topic": Topic,
    "typing": Typing,
    "user_joined": UserJoined,
    "user_left": UserLeft,
}
