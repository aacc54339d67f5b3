"""The rooms that we want to be in: joining them, and what was heard in each. Time is an argument."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .events import Deleted, Edited, Event, Gap, Joined, Message, Reaction, SalonError, read
from .outbox import ANSWER_WITHIN, pace
from .queue import EventQueue, Pending
from .text import encode, utf8_len

Entry = Message | Edited | Deleted | Reaction


class Position(NamedTuple):
    """A place in a room up to which nothing is missing."""

    epoch: str
    seq: int


class Joining(Pending[Joined]):
    """A room on its way. `await` waits until we are in it, over cuts of the connection, and returns `Joined`; or raises
    a `SalonError` when the room is refused for good."""


@dataclass
class Room:
    """A room that we want to be in. `epoch` and `seq` say up to where it was heard."""

    name: str
    joining: Joining
    history: int = 0
    epoch: str | None = None
    seq: int = 0
    joined: bool = False
    replay_end: int = 0
    fresh: bool = True  # what comes next follows nothing that was heard
    asked: str | None = None  # the id of the `join` on its way
    not_before: float = -math.inf
    tries: int = 0

    def request(self) -> dict[str, Any]:
        """What a `join` says of it."""
        request: dict[str, Any] = {"room_id": self.name}
        if self.epoch is not None:
            request["since"] = {"epoch": self.epoch, "seq": self.seq}
        if self.history:
            request["history"] = self.history
        return request

    def enter(self, message: Mapping[str, Any]) -> Joined:
        """The server has let us in, or the room has begun anew while we are in it."""
        epoch, seq, recovered = message["epoch"], message["seq"], message["recovered"]
        first = self.epoch is None
        reset = not first and (self.epoch != epoch or seq < self.seq)
        self.joined, self.asked, self.tries = True, None, 0
        self.fresh = first or reset or not recovered
        self.replay_end = seq
        if reset:
            self.seq = 0
        if first and not self.history:
            self.seq = seq
        self.epoch = epoch
        joined = read(Joined, message, reset=reset, first=first)
        if not self.joining.done:
            self.joining.settle(joined)
        return joined

    def hear(self, kind: type[Entry], message: Mapping[str, Any]) -> Iterator[Event]:
        """A message, or what was done to one: each has the next number, and comes once."""
        seq = message["seq"]
        if seq <= self.seq:
            return
        epoch = self.epoch or ""
        # The server names every hole; should it ever not, we do. Messages before a page of history are no hole.
        if not self.fresh and seq > self.seq + 1:
            yield Gap(self.name, epoch, self.seq + 1, seq - 1, "missing")
        self.fresh = False
        self.seq = seq
        yield read(kind, message, epoch=epoch, replayed=seq <= self.replay_end)

    def miss(self, message: Mapping[str, Any]) -> Gap:
        """The server has named a hole."""
        if self.epoch == message["epoch"]:
            self.seq = max(self.seq, message["to"])
        return Gap(self.name, message["epoch"], message["from"], message["to"], message["why"])

    def end_replay(self) -> None:
        """`online_users` follows the replay: messages that were not replayed until now are no longer kept."""
        if self.joined:
            self.seq = max(self.seq, self.replay_end)
            self.fresh = False


@dataclass
class Turn:
    """What there is to do now: joins to send, and when to look again."""

    send: list[dict[str, Any]] = field(default_factory=list)
    wake: float = math.inf


class Rooms:
    """All rooms that we want to be in, and the pace at which they are asked for."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._rooms: dict[str, Room] = {}
        self._random = random
        self._progress: dict[str, float] = {}  # when a `join` on its way was sent, or last brought a room
        self._at_once = 0  # how many joins may still be sent without a pause
        self._pause = 0.0  # between two joins; longer after a `rate_limited`, shorter with each room that was joined
        self._next = -math.inf

    def get(self, name: str | None) -> Room | None:
        """A room that we are in, or on the way into."""
        return None if name is None else self._rooms.get(name)

    def want(self, name: str, queue: EventQueue, history: int, since: Position | None) -> Room:
        """A room that we want to be in from now on."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, Joining(queue), history)
            if since is not None:
                room.epoch, room.seq = since
        room.not_before = -math.inf
        return room

    def forget(self, name: str, error: SalonError) -> None:
        """We do not want to be in a room any more, or cannot be."""
        room = self._rooms.pop(name, None)
        if room and not room.joining.done:
            room.joining.settle(error)

    def begin(self) -> None:
        """A connection stands."""
        self._at_once, self._pause, self._next = JOINS_AT_ONCE, 0.0, -math.inf

    def lose(self, queue: EventQueue) -> None:
        """The connection is lost, and we are in no room."""
        self._progress.clear()
        for room in self._rooms.values():
            room.joined, room.asked, room.not_before, room.tries = False, None, -math.inf, 0
            if room.joining.done:
                room.joining = Joining(queue)

    def turn(
        self,
        now: float,
        limits: Mapping[str, Any],
        speaking: Collection[str],
        is_left: Callable[[str], bool] = lambda name: False,
    ) -> Turn:
        """Asks for the rooms that we are not in, first those for which something is on the outbox. One that is being
        left is asked for behind that."""
        turn = Turn()
        due = []
        for room in self._rooms.values():
            if room.asked is not None:
                answer_by = self._progress[room.asked] + ANSWER_WITHIN
                if now < answer_by:
                    turn.wake = min(turn.wake, answer_by)
                    continue
                room.asked = None  # never answered: it is sent again
            if room.joined or is_left(room.name):
                continue
            if room.not_before > now:
                turn.wake = min(turn.wake, room.not_before)
            else:
                due.append(room)
        due.sort(key=lambda room: room.name not in speaking)
        while due:
            if self._at_once:
                self._at_once -= 1
            elif now >= self._next:
                self._next = now + max(self._pause, pace(limits))
            else:
                turn.wake = min(turn.wake, self._next)
                break
            turn.send.append(self._ask(due, now, limits))
            turn.wake = min(turn.wake, now + ANSWER_WITHIN)
        asked = {room.asked for room in self._rooms.values()}
        self._progress = {id: at for id, at in self._progress.items() if id in asked}
        return turn

    def entered(self, room: Room, message: Mapping[str, Any], now: float) -> Joined:
        """The answer to a join, or a room that begins anew."""
        if room.asked is not None:
            self._progress[room.asked] = now
            self._pause *= 0.8
        return room.enter(message)

    def refused(
        self, message: Mapping[str, Any], error: SalonError, now: float, limits: Mapping[str, Any]
    ) -> list[Room] | None:
        """An error that answers a join: of one room, which it names where it was one of a list (then it has no `id`),
        or of all that were asked for by that message. Returns the rooms that are refused or delayed by it; None if it
        answers no join."""
        id, name = message.get("id"), message.get("room_id")
        asked = [
            room
            for room in self._rooms.values()
            if room.asked is not None
            and (room.name == name if id is None else room.asked == id and name in (None, room.name))
        ]
        if not asked:
            return None
        limited = error.code == "rate_limited"
        if limited:
            self._at_once = 0
            self._pause = min(JOIN_PAUSE_MAX, max(self._pause * 1.5, pace(limits)))
            self._next = now + (error.retry_after or 0) + self._random() * self._pause
        for room in asked:
            self._progress[room.asked or ""] = now
            room.asked = None
            if error.retry and not limited:
                room.tries += 1
                wait = max(error.retry_after or 0, BACKOFF_BASE * 2 ** min(room.tries, 6))
                room.not_before = now + wait * (1 + self._random())
        return [] if limited else asked

    def _ask(self, due: list[Room], now: float, limits: Mapping[str, Any]) -> dict[str, Any]:
        """Takes rooms from the front of `due` and asks for them by one message: for one, or for as many as the server
        takes."""
        id = str(uuid.uuid4())
        most = max(1, int(limits.get("join_rooms") or 1))
        rooms: list[dict[str, Any]] = []
        size = JOIN_ENVELOPE
        while due and len(rooms) < most:
            request = due[0].request()
            size += utf8_len(encode(request)) + 1
            if rooms and size > limits.get("message_bytes", math.inf):
                break
            due.pop(0).asked = id
            rooms.append(request)
        self._progress[id] = now
        return {"type": "join", "id": id} | (rooms[0] if len(rooms) == 1 else {"rooms": rooms})


JOINS_AT_ONCE = 10  # a quarter of what a user may usually send at once: there may be other sessions
JOIN_PAUSE_MAX = 1.5
JOIN_ENVELOPE = 80  # bytes of a `join` around its list
BACKOFF_BASE = 0.5
