"""What we say and is not confirmed yet. Time is an argument; nothing here touches a connection."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .events import SalonError, Sent
from .queue import EventQueue, Pending
from .text import encode, utf8_len, well_formed


class Outgoing(Pending[Sent]):
    """A message of ours, or what we do to one, on its way. `await` waits until the server has it, and returns `Sent`;
    or raises a `SalonError` when it is given up."""

    def __init__(
        self,
        queue: EventQueue,
        message: dict[str, Any],
        *,
        queued_at: float,
        epoch: str | None = None,
        id: str | None = None,
        first_sent: float = 0,
    ) -> None:
        super().__init__(queue)
        self.id = id or str(uuid.uuid4())
        """The server does it once, however often it comes with the same `id`."""
        self.message = message
        """The request, without its `id`."""
        self.epoch = epoch
        """The epoch of the room whose numbers it has in it (`of`, `reply_to`), if it has any."""
        self.queued_at = queued_at
        """When it was put on the outbox: seconds since the Unix epoch."""
        self.first_sent = first_sent
        """When it was first sent; 0: never."""
        # Conversations; in each of them it keeps its place in the order of what we say.
        people = [message["user_id"]] if "user_id" in message else message.get("user_ids", [])
        self._lanes = {("person", name) for name in people} | {("room", room) for room in _room(message)}
        self._connection = 0  # the one that it is on its way on
        self._last_sent = -math.inf
        self._not_before = -math.inf
        self._tries = 0

    @property
    def room_id(self) -> str | None:
        """The room that it is for, if it is for one."""
        return self.message.get("room_id")

    @property
    def content(self) -> str | None:
        """The text, if it has one."""
        return self.message.get("content")

    def saved(self) -> dict[str, Any]:
        """Plain data to keep, and to give to another client (`outbox`), which goes on with the same `id`."""
        return {name: getattr(self, name) for name in ("id", "message", "epoch", "queued_at", "first_sent")}

    def request(self) -> dict[str, Any]:
        """It as it is sent. The `id` stands before the content: the server reads a refused message only so far."""
        return {"type": self.message["type"], "id": self.id} | self.message

    def too_long(self, limits: Mapping[str, Any]) -> SalonError | None:
        """What the server would say of its length; None before the server has said its limits."""
        content = utf8_len(well_formed(self.content or ""))
        for what, found in ("content", content), ("message", utf8_len(encode(self.request()))):
            most = limits.get(f"{what}_bytes", math.inf)
            if found > most:
                return SalonError("too_large", f"`{what}`: expected at most {most} bytes, found {found}")
        return None

    def __repr__(self) -> str:
        return f"Outgoing({self.message!r}, id={self.id!r}, done={self.done})"


@dataclass
class Turn:
    """What there is to do now: requests to send, entries to give up, and when to look again."""

    send: list[dict[str, Any]] = field(default_factory=list)
    refuse: list[tuple[Outgoing, SalonError]] = field(default_factory=list)
    wake: float = math.inf


class Outbox:
    """Entries in the order in which they were said. In each conversation the first is on its way and no other, so that
    order holds whatever is lost or refused."""

    def __init__(self) -> None:
        self._entries: dict[str, Outgoing] = {}
        # After a `rate_limited` it keeps to the server's rate instead of finding its edge again and again.
        self._slow_until = -math.inf
        self._next_send = -math.inf

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Outgoing]:
        return iter([*self._entries.values()])

    def put(self, entry: Outgoing) -> None:
        """Adds an entry, behind the others."""
        if len(self) >= OUTBOX_MAX:
            message = f"expected at most {OUTBOX_MAX} messages on the outbox, found one more"
            raise SalonError("overloaded", message, retry=True)
        self._entries[entry.id] = entry

    def get(self, id: object) -> Outgoing | None:
        """The entry with that `id`."""
        return self._entries.get(id) if isinstance(id, str) else None

    def take(self, entry: Outgoing) -> None:
        """Takes an entry off."""
        self._entries.pop(entry.id, None)

    def turn(
        self,
        now: float,
        wall: float,
        connection: int,
        limits: Mapping[str, Any],
        epoch_of: Callable[[str], str | None],
    ) -> Turn:
        """Sends the first entry of each conversation, unless it is already on its way on this connection. `now` goes
        on evenly; `wall` is the time of day, which also the next process knows. `epoch_of` is that of a room which we
        are in, and None for others."""
        turn = Turn()
        busy: set[tuple[str, str]] = set()
        for entry in self:
            if entry._lanes & busy:
                busy |= entry._lanes
                continue
            epoch = None if entry.room_id is None else epoch_of(entry.room_id)
            if entry.room_id is not None and epoch is None:
                continue
            here = entry._connection == connection
            if not here and entry.first_sent and abs(wall - entry.first_sent) > REPEAT_WITHIN:
                message = "The connection was lost before this message was confirmed"
                turn.refuse.append((entry, SalonError("unconfirmed", message)))
                continue
            if entry.epoch is not None and entry.epoch != epoch:
                # The room has begun anew: its numbers are those of other messages now. What is said answers none then.
                if "of" in entry.message:
                    turn.refuse.append((entry, SalonError("epoch_changed", "The room has begun anew")))
                    continue
                entry.message.pop("reply_to", None)
                entry.epoch = None
            if error := entry.too_long(limits):
                turn.refuse.append((entry, error))
                continue
            busy |= entry._lanes
            answer_by = entry._last_sent + ANSWER_WITHIN
            due = max(entry._not_before, answer_by if here and now < answer_by else self._next_send)
            if due > now:
                turn.wake = min(turn.wake, due)
                continue
            entry._connection = connection
            entry._last_sent = now
            entry.first_sent = entry.first_sent or wall
            if now < self._slow_until:
                self._next_send = now + pace(limits)
            turn.wake = min(turn.wake, now + ANSWER_WITHIN)
            turn.send.append(entry.request())
        return turn

    def refused(self, entry: Outgoing, error: SalonError, now: float, wait: Callable[[int], float]) -> bool:
        """The server has refused an entry. Returns whether that is for good; else it is tried again, and its
        conversations wait with it, so that what was said later is not heard earlier."""
        if not error.retry or entry._tries >= TRIES_MAX:
            return True
        limited = error.code == "rate_limited"
        entry._tries += 0 if limited else 1
        entry._connection = 0
        entry._not_before = now + (wait(entry._tries) if error.retry_after is None else error.retry_after)
        entry.first_sent = 0  # what is refused is not done: the five minutes begin with the next try
        if limited:
            self._slow_until = now + SLOW_FOR
            self._next_send = entry._not_before
        return False

    def largest(self, connection: int) -> Outgoing | None:
        """The longest that is on its way on a connection."""
        sent = [entry for entry in self if entry._connection == connection]
        return max(sent, key=lambda entry: utf8_len(encode(entry.request())), default=None)


def pace(limits: Mapping[str, Any]) -> float:
    """The time between two messages at the rate of the server, with something left for our other sessions."""
    return 1.2 / ((limits.get("rate") or {}).get("per_second") or CAREFUL_RATE)


def _room(message: Mapping[str, Any]) -> list[str]:
    return [message["room_id"]] if "room_id" in message else []


OUTBOX_MAX = 200
ANSWER_WITHIN = 15.0
REPEAT_WITHIN = 4.5 * 60  # the server remembers an `id` for five minutes
TRIES_MAX = 6
SLOW_FOR = 30.0
CAREFUL_RATE = 10  # messages a second where the server named no rate, and still answers `rate_limited`
