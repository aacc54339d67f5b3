"""Requests on their way to an answer. Each ends within 15 s, whoever still waits for it."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .events import SalonError
from .outbox import ANSWER_WITHIN, TRIES_MAX
from .rooms import BACKOFF_BASE


@dataclass
class Request:
    """A request that has no answer yet."""

    message: dict[str, Any]
    answer: asyncio.Future[Any]
    sent: bool
    due: float = -math.inf
    tries: int = 0


@dataclass
class Turn:
    """What there is to do now: requests to send, and when to look again."""

    send: list[dict[str, Any]] = field(default_factory=list)
    wake: float = math.inf


class Requests:
    """All open requests. `changed` is called when one has come to its end."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._open: dict[str, Request] = {}
        self._changed = changed

    def open(self, type: str, fields: Mapping[str, Any], *, sent: bool = False) -> Request:
        """A new request. The answer is that of its future, or a `SalonError`, whether or not anybody waits for it.
        `sent`: it is sent at once, and not when there is a connection."""
        if len(self._open) >= REQUESTS_MAX:
            raise SalonError("overloaded", "Too many requests are open", retry=True)
        id, loop = str(uuid.uuid4()), asyncio.get_running_loop()
        message = {"type": type, "id": id} | {name: value for name, value in fields.items() if value is not None}
        request = self._open[id] = Request(message, loop.create_future(), sent)
        timer = loop.call_later(ANSWER_WITHIN, self._end_of_wait, request.answer)

        def ended(answer: asyncio.Future[Any]) -> None:
            timer.cancel()
            self._open.pop(id, None)
            if not answer.cancelled():
                answer.exception()  # it has been looked at: what nobody waits for is no error
            self._changed()

        request.answer.add_done_callback(ended)
        return request

    def leave_of(self, room_id: str) -> asyncio.Future[Any] | None:
        """The answer to a `leave` of that room, if one is on its way."""
        leaves = (request for request in self._open.values() if request.message["type"] == "leave")
        return next((request.answer for request in leaves if request.message["room_id"] == room_id), None)

    def get(self, id: object) -> Request | None:
        """The open request with that `id`."""
        request = self._open.get(id) if isinstance(id, str) else None
        return None if request is None or request.answer.done() else request

    def refused(self, request: Request, error: SalonError, now: float, spread: float) -> None:
        """The server has refused a request. One that came too fast is sent again for as long as the answer is waited
        for: not all at one instant, but within a `spread` that grows."""
        if error.code != "rate_limited" or not error.retry:
            return request.answer.set_exception(error)
        request.tries = min(request.tries + 1, TRIES_MAX)
        request.due = now + (BACKOFF_BASE if error.retry_after is None else error.retry_after)
        request.due += spread * 2**request.tries
        request.sent = False

    def turn(self, now: float) -> Turn:
        """Sends what has not been sent and is due."""
        turn = Turn()
        for request in self._open.values():
            if request.sent or request.answer.done():
                continue
            if request.due > now:
                turn.wake = min(turn.wake, request.due)
            else:
                request.sent = True
                turn.send.append(request.message)
        return turn

    def lose(self) -> None:
        """The connection is lost. What was not sent waits for the next one; but a room is left with the connection."""
        for request in self._open.values():
            if request.answer.done():
                continue
            if request.message["type"] == "leave":
                request.answer.set_result(None)
            elif request.sent:
                request.answer.set_exception(SalonError("disconnected", "The connection was lost", retry=True))

    @staticmethod
    def _end_of_wait(answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(SalonError("timeout", "The server did not answer in time", retry=True))


REQUESTS_MAX = 512
