"""A client for Salon, a chat server: one connection, kept up by itself, nothing lost and nothing twice.

```python
async with salon.Client("wss://chat.example/ws", user="robin") as chat:
    chat.join("lobby")
    async for event in chat:
        match event:
            case salon.Message(content="!hello"):
                chat.say(event.room_id, f"Hello, {event.sender}", reply_to=event.seq)
```

`Client` has what can be asked and said, `salon.events` what is heard, `salon.answers` what requests are answered with.
The protocol itself is described in `docs/wire.md` of Salon's repository.
"""

from .client import Client
from .events import (
    Announcement,
    Deleted,
    Direct,
    Edited,
    Error,
    Event,
    Gap,
    Goodbye,
    JoinDelayed,
    Joined,
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
    Topic,
    Typing,
    UserJoined,
    UserLeft,
    Welcome,
)
from .outbox import Outgoing
from .rooms import Position

__all__ = [
    "Announcement",
    "Client",
    "Deleted",
    "Direct",
    "Edited",
    "Error",
    "Event",
    "Gap",
    "Goodbye",
    "JoinDelayed",
    "JoinRefused",
    "Joined",
    "Left",
    "Message",
    "OnlineUsers",
    "Outgoing",
    "Position",
    "Presence",
    "Reaction",
    "Read",
    "Refused",
    "SalonError",
    "Sent",
    "Stalled",
    "State",
    "Status",
    "Topic",
    "Typing",
    "UserJoined",
    "UserLeft",
    "Welcome",
]
