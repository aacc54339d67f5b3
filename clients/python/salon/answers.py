"""What requests are answered with: dictionaries, as they come over the wire (`docs/wire.md`)."""

from __future__ import annotations

from typing import TypedDict


class ReactionCount(TypedDict):
    """One emoji at a message: how many users, the first 20 of them, and whether we are one."""

    emoji: str
    count: int
    users: list[str]
    me: bool


class _Message(TypedDict):
    sender: str
    seq: int
    ts: int


class StandingMessage(_Message, total=False):
    """A message as it stands, with its last text. One that is deleted keeps its place, without `content`."""

    content: str
    reply_to: int
    mentions: str
    edited: int
    deleted: bool
    reactions: list[ReactionCount]


class _History(TypedDict):
    epoch: str
    items: list[StandingMessage]


class History(_History, total=False):
    """A page of messages in rising order of `seq`. `next` is the bound of the next page; absent on the last."""

    room_id: str
    user_id: str
    next: int
    gap: dict[str, int | str]


class _Found(TypedDict):
    seq: int
    sender: str
    content: str
    ts: int


class FoundMessage(_Found, total=False):
    """A message that has the words; in a room, or with a person."""

    room_id: str
    user_id: str


class _Page(TypedDict, total=False):
    next: str


class Found(_Page):
    """Newest first. A page with `next` may be short or empty all the same."""

    items: list[FoundMessage]


class Conversation(TypedDict):
    """With whom; the number of the last entry, when the last message was said, up to where we have read."""

    user_id: str
    seq: int
    ts: int
    read: int
    unread: int


class Conversations(_Page):
    """Those in which something was said last come first."""

    conversations: list[Conversation]


class _PersonState(TypedDict):
    status: str
    devices: int


class PersonState(_PersonState, total=False):
    """How somebody is."""

    note: str


class Member(PersonState):
    """Somebody in a room."""

    user_id: str


class Members(_Page):
    """The people in a room; `count` is of all pages."""

    room_id: str
    members: list[Member]
    count: int


class _Room(TypedDict):
    room_id: str
    name: str
    created_at: int
    members: int
    messages: int
    seq: int
    epoch: str


class Room(_Room, total=False):
    """What a room is. `messages` is how many entries are kept; `created` is the answer to `create_room`."""

    topic: str
    created: bool


class _Topic(TypedDict):
    room_id: str
    topic: str


class Topic(_Topic, total=False):
    """What a room is called and is about. `name` is its title; without one, its `room_id`."""

    name: str
    sender: str


class _ListedRoom(TypedDict):
    room_id: str
    name: str
    members: int
    joined: bool


class ListedRoom(_ListedRoom, total=False):
    """A room of the list. `read` and `unread` are of those that this session is in, and where they were asked
    for."""

    read: int
    unread: int


class Rooms(_Page):
    """Rooms by `room_id`."""

    rooms: list[ListedRoom]


class Online(_Page):
    """Users by name; `count` is of all pages."""

    users: list[str]
    count: int


class _PresenceState(TypedDict):
    users: dict[str, PersonState]


class PresenceState(_PresenceState, total=False):
    """How people are; with `room_id`, those in a room."""

    room_id: str


class _Ack(TypedDict):
    id: str


class Ack(_Ack, total=False):
    """It is done. `expires_at` answers `authenticate`: when the token ends."""

    expires_at: int
