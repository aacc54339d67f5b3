"""What a client hears: one class for each kind of event.

`ts` and other points in time are milliseconds since the Unix epoch, as on the wire; spans are seconds. `seq` is the
number of an entry in its conversation, from 1 and without holes. `epoch` names one numbering of a room, and is opaque.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from .outbox import Outgoing

ConnectionState = Literal["idle", "connecting", "connected", "waiting", "closed"]


class SalonError(Exception):
    """An `error` of the server, or of the client itself.

    `code` is one of `docs/wire.md`, or `disconnected` (the connection ended before the answer, or there is none and
    will be none), `timeout` (no answer within 15 s), `overloaded` (too much is open or unread here), `unconfirmed`
    (whether the server has a message cannot be known any more). `retry` says whether the same may succeed later,
    `retry_after` when, in seconds from now.
    """

    def __init__(self, code: str, message: str = "", *, retry: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.retry = retry
        self.retry_after = retry_after

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> SalonError:
        """The `error` message of the server."""
        after = error.get("retry_after_ms")
        return cls(
            error["code"],
            error.get("message", ""),
            retry=error.get("retry", False),
            retry_after=None if after is None else after / 1000,
        )


@dataclass(frozen=True)
class State:
    """The connection is another than before: `connecting` (until the server has welcomed us), `connected`, `waiting`
    (for `retry_in` seconds), or `closed` for good. `code` and `reason` are of the last close."""

    state: ConnectionState
    retry_in: float | None = None
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Stalled:
    """The server is asked for a sign of life and has given none for 2 s; and that this is over."""

    stalled: bool


@dataclass(frozen=True)
class Welcome:
    """The server has said who we are and what its limits are. `resumed`: it is not the first of this client."""

    user_id: str
    session_id: str
    server: str
    resumed: bool
    limits: dict[str, Any] = field(default_factory=dict)
    ping_interval_ms: int = 25_000
    durability: str = "memory"
    status: str | None = None
    note: str = ""
    expires_at: int | None = None
    """When the token ends."""


@dataclass(frozen=True)
class Joined:
    """We are in a room, or it has begun anew while we are. The replay follows; `OnlineUsers` ends it.

    `seq` is the number of the room's last entry. `recovered`: all that was missed follows. `reset`: the numbers have
    begun anew, and what is known of the room is of another epoch. `first`: nothing was known of it.
    """

    room_id: str
    epoch: str
    seq: int
    recovered: bool
    reset: bool
    first: bool
    members: int = 0
    read: int | None = None
    unread: int | None = None


@dataclass(frozen=True)
class JoinDelayed:
    """A room cannot be joined now. It is tried again."""

    room_id: str
    error: SalonError


@dataclass(frozen=True)
class JoinRefused:
    """A room cannot be joined. It is not tried again before `join`; what was on the outbox for it is `Refused`."""

    room_id: str
    error: SalonError


@dataclass(frozen=True)
class Left:
    """We have been put out of a room. It is not joined again before `join`; what was on the outbox for it is
    `Refused`."""

    room_id: str
    reason: str | None = None


@dataclass(frozen=True)
class Message:
    """Somebody, also we, said something in a room: each message once, in order. `replayed`: while we were away.

    `content` is None where the message is deleted since. `mentions` is "room" where its text calls everybody in the
    room, of somebody who may: the server decides. `reactions` are as in `answers.ReactionCount`.
    """

    room_id: str
    epoch: str
    seq: int
    sender: str
    ts: int
    content: str | None = None
    replayed: bool = False
    id: str | int | None = None
    reply_to: int | None = None
    edited: int | None = None
    deleted: bool = False
    reactions: list[dict[str, Any]] = field(default_factory=list)
    mentions: str | None = None


@dataclass(frozen=True)
class Gap:
    """Entries `start` to `end` of a room are not to be had: `expired`, `epoch_changed`, or `missing`."""

    room_id: str
    epoch: str
    start: int
    end: int
    why: str


@dataclass(frozen=True)
class Direct:
    """Somebody (`sender`) wrote to somebody (`user_id`); we are one of the two, on this device or another one."""

    sender: str
    user_id: str
    content: str
    seq: int
    ts: int
    id: str | int | None = None
    reply_to: int | None = None


@dataclass(frozen=True)
class _Done:
    """What every entry has that was done to a message: `of` is the `seq` of the message, `sender` who did it. It has
    `room_id` (then `epoch` and `replayed` too), or `user_id`, the other person."""

    of: int
    sender: str
    seq: int
    ts: int
    room_id: str | None = None
    user_id: str | None = None
    id: str | int | None = None
    epoch: str | None = None
    replayed: bool = False


@dataclass(frozen=True)
class Edited(_Done):
    """A message has another text; `deleted` and None where it is deleted since. `mentions` is as in `Message`."""

    content: str | None = None
    deleted: bool = False
    mentions: str | None = None


@dataclass(frozen=True)
class Deleted(_Done):
    """A message is deleted."""


@dataclass(frozen=True)
class Reaction(_Done):
    """A reaction was put at a message (`on`), or taken back."""

    emoji: str = ""
    on: bool = True


@dataclass(frozen=True)
class Read:
    """We have read a conversation up to `seq`, on another device; also a room that this one is not in."""

    seq: int
    room_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True)
class Topic:
    """What a room is about; the empty string: nothing. `name` is its title; without one, its `room_id`. `sender` has
    just said so; without one, it may have been changed while we did not hear."""

    room_id: str
    topic: str
    sender: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Announcement:
    """Said to everybody, in no room; it has no number and is not kept."""

    sender: str
    content: str
    ts: int
    id: str | int | None = None


@dataclass(frozen=True)
class Sent:
    """The server has done what `entry` asks. `duplicate`: the client had asked before, or has heard no copy of its own.

    `seq` is its number in the conversation; None for a multicast, an announcement, and what changed nothing. `answer`
    is the whole message of the server, with `delivered` and the other lists of a multicast.
    """

    entry: Outgoing
    seq: int | None
    ts: int | None
    duplicate: bool
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """What `entry` asks is given up, and off the outbox."""

    entry: Outgoing
    error: SalonError


@dataclass(frozen=True)
class UserJoined:
    """Somebody came into a room."""

    room_id: str
    user_id: str


@dataclass(frozen=True)
class UserLeft:
    """Somebody left a room."""

    room_id: str
    user_id: str


@dataclass(frozen=True)
class OnlineUsers:
    """The people in a room; in one with more than 100 users, a sample of `count`."""

    room_id: str
    users: list[str]
    count: int


@dataclass(frozen=True)
class Presence:
    """Somebody whom we watch is another than before."""

    user_id: str
    status: str
    note: str = ""


@dataclass(frozen=True)
class Typing:
    """Somebody types, or does no longer; without `room_id`, to us alone. Let it end 7 s after the last `True`."""

    user_id: str
    typing: bool
    room_id: str | None = None


@dataclass(frozen=True)
class Status:
    """How we are, as the server holds it: set on another device, or before this client came."""

    status: str
    note: str = ""


@dataclass(frozen=True)
class Error:
    """An error that answers no request: `token_expired`, say."""

    error: SalonError


@dataclass(frozen=True)
class Goodbye:
    """The server is about to close the connection. `until`: when a ban ends by itself, a time as that of messages."""

    reason: str
    reconnect: bool
    after_ms: int = 0
    until: int | None = None


Event = (
    State
    | Stalled
    | Welcome
    | Joined
    | JoinDelayed
    | JoinRefused
    | Left
    | Message
    | Gap
    | Direct
    | Edited
    | Deleted
    | Reaction
    | Read
    | Topic
    | Announcement
    | Sent
    | Refused
    | UserJoined
    | UserLeft
    | OnlineUsers
    | Presence
    | Typing
    | Status
    | Error
    | Goodbye
)

E = TypeVar("E")


def read(kind: type[E], message: Mapping[str, Any], **more: Any) -> E:
    """An event of what its message has. Fields that this client does not know are left out."""
    known: Any = kind
    return kind(**{name: message[name] for name in known.__match_args__ if name in message}, **more)
