"""What waits for the program: events that it has not taken yet, and its own waits for an answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any, Generic, TypeVar

from .events import Event, SalonError

T = TypeVar("T")


class EventQueue:
    """Events in their order, for one reader; bounded, so that a program that is slow makes the client read slowly.

    A program that waits for an answer takes no events meanwhile, and the answer comes behind events. So the client
    reads on while somebody waits, up to a harder bound. Past that, waiting in this way leads nowhere: the waits fail.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._events: deque[Event] = deque()
        self._waits: set[asyncio.Future[Any]] = set()
        self._changed = asyncio.Event()
        self._closed = True

    def __len__(self) -> int:
        return len(self._events)

    def open(self) -> None:
        """There will be events."""
        self._closed = False

    def close(self) -> None:
        """No event follows those that are here, and nothing that is waited for will come."""
        self._closed = True
        self._fail(SalonError("disconnected", "The client is closed", retry=True))
        self._changed.set()

    def put(self, event: Event) -> None:
        """Adds an event. That there is room is for the caller to wait for."""
        if self.most:
            self._events.append(event)
            self._changed.set()

    async def get(self) -> Event | None:
        """The next event; None when the client is closed."""
        while not self._events:
            if self._closed:
                return None
            await self._change()
        self._changed.set()
        return self._events.popleft()

    def has_room(self) -> bool:
        """Whether another message of the server may be read."""
        most = self.most * HARDER if self._waits else self.most
        return not self.most or len(self._events) < most

    async def room(self) -> None:
        """Waits until another message of the server may be read."""
        while not self.has_room():
            if self._waits:
                self._fail(SalonError("overloaded", "Too many events have not been taken", retry=True))
            await self._change()

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Waits for what the server is to bring."""
        if self._closed and not future.done():
            raise SalonError("disconnected", "The client is closed", retry=True)
        self._waits.add(future)
        self._changed.set()
        try:
            return await future
        finally:
            self._waits.discard(future)

    def _fail(self, error: SalonError) -> None:
        for future in self._waits:
            if not future.done():
                future.set_exception(error)
        self._waits.clear()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Pending(Generic[T]):
    """Something on its way, which goes on by itself. `await` waits for its end, as often as one likes; an end that
    nobody waits for is no error."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._end: T | SalonError | None = None
        self._futures: list[asyncio.Future[T]] = []

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return self._end is not None

    def settle(self, end: T | SalonError) -> None:
        """It has come to its end."""
        self._end = end
        for future in self._futures:
            if not future.done():
                future.set_exception(end) if isinstance(end, SalonError) else future.set_result(end)

    def __await__(self) -> Generator[Any, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        if isinstance(self._end, SalonError):
            raise self._end
        if self._end is not None:
            return self._end
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        try:
            return await self._queue.wait(future)
        finally:
            self._futures.remove(future)


HARDER = 16  # times as many events as usual may wait while the program waits for an answer
