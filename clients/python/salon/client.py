"""The client, as programs use it: what can be said and asked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from . import answers
from .events import Event, SalonError
from .outbox import Outgoing
from .rooms import Joining, Position
from .session import Session, StatusWord
from .text import normal_name


class Client(Session):
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
        super().__init__(
            url, user=user, token=token, status=status, outbox=outbox, events=events, options=options, random=random
        )

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

    async def topic(self, room_id: str, topic: str) -> answers.Topic | answers.Ack:
        """Has a room that we are in be about something; about nothing, if the text is empty. `Ack`: it was already."""
        answer: answers.Topic | answers.Ack = await self.request("topic", room_id=room_id, topic=topic)
        return answer

    async def title(self, room_id: str, name: str) -> answers.Topic | answers.Ack:
        """Has such a room be called by a title; by its `room_id`, if the text is empty. `Ack`: it was already."""
        answer: answers.Topic | answers.Ack = await self.request("topic", room_id=room_id, name=name)
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


def _place(room_id: str | None, user_id: str | None) -> dict[str, str]:
    """A conversation: a room, or what we and one other person write to each other."""
    if (room_id is None) == (user_id is None):
        raise TypeError("expected one of `room_id` and `user_id`")
    return {"user_id": normal_name(user_id)} if user_id is not None else {"room_id": normal_name(room_id or "")}
