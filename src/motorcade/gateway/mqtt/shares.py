"""Shared subscriptions (§4.8.2): a group is one place in the log, its members take turns.

Each message goes to the next member that has room. A group whose members are all away or full
keeps its place, and `feeding.py` goes on from there. What a member has not acknowledged waits for
it while its session lasts; when the session ends, the others get it. Groups belong to an account,
like client identifiers. They are granted QoS 1 at most: what may change hands is not exactly once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from motorcade.gateway.mqtt.message import NOTHING, Message, Wanted, deliver
from motorcade.gateway.mqtt.permissions import hidden
from motorcade.gateway.mqtt.session import Seen, Session
from motorcade.gateway.mqtt.window import Sent
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.topics import SHARE_PREFIX, split_shared


@dataclass(frozen=True, slots=True)
class Share:
    """One message in the hands of one member."""

    group: "Group"
    ordinal: int
    message: Message
    origin: Cursor | None


@dataclass(slots=True, eq=False)
class Group:
    """See the module's text. `live`, `cursor` and `seen` mean what they mean for a session."""

    key: str
    topic_filter: str  # behind the share name
    members: dict[Session, Subscription] = field(default_factory=dict)  # whose turn is next: first
    live: bool = False
    cursor: Cursor | None = None
    seen: Seen | None = None
    stored: Cursor | None = None  # the place in the store
    returned: deque[Share] = field(default_factory=deque)  # of members whose session ended
    _outstanding: dict[int, Cursor | None] = field(default_factory=dict)
    _ordinal: int = 0
    _asked: bool = False

    @property
    def connection(self) -> object | None:
        """Something, while a member is connected."""
        return next((m.connection for m in self.members if m.connection is not None), None)

    @property
    def persistent(self) -> bool:
        return any(member.persistent for member in self.members)

    def has_room(self) -> bool:
        return any(member.has_room() for member in self.members)

    def fresh_since_us(self) -> int:
        """When it came, while the router may not have caught up with that; else 0."""
        return min((m.fresh.get(s.topic_filter, 0) for m, s in self.members.items()), default=0)

    def on_room(self, call: Callable[[], None]) -> None:
        """Call once when a member may have room, or goes."""
        for member in self.members:
            if member.connection is not None:
                member.waiting.append(call)

    def offer(self, message: Message, origin: Cursor | None) -> bool:
        """Give a message to the member whose turn it is. False: nobody can take it now."""
        if not self._give_returned():
            return False
        self._ordinal += 1
        return self._give(Share(self, self._ordinal, message, origin))

    def give_back(self, share: Share) -> None:
        """A member's session ended before it acknowledged this: another shall have it."""
        self.returned.append(share)
        self.hand_on()

    def hand_on(self) -> None:
        """Find members for what came back; ask again when one has room. Call it when one comes."""
        self._asked = False
        if not self._give_returned() and self.connection is not None:
            self._asked = True
            self.on_room(self._room_came)

    def _room_came(self) -> None:
        if self._asked:  # several members may say so at once
            self.hand_on()

    def owed_from(self, position: Cursor | None) -> Cursor | None:
        """The cursor from which nothing unacknowledged is missing; `position` if all is acked."""
        return next((origin for origin in self._outstanding.values() if origin), position)

    def _give_returned(self) -> bool:
        while self.returned:
            if not self._give(self.returned[0]):
                return False
            self.returned.popleft()
        return True

    def _give(self, share: Share) -> bool:
        message = share.message
        for member, subscription in list(self.members.items()):
            principal = member.principal
            if principal is None or not member.window.resumed:
                continue
            if hidden(principal, message.topic):
                return True  # from all of them: they are one account
            wanted = NOTHING.joined(subscription)
            if min(message.qos, wanted.qos):
                if not member.has_room():
                    continue
                self._send(member, wanted, share)
            elif not deliver(member, wanted, message, None):
                continue
            self.members[member] = self.members.pop(member)  # the next one's turn
            return True
        return False

    def _send(self, member: Session, wanted: Wanted, share: Share) -> None:
        self._outstanding[share.ordinal] = share.origin
        sent = Sent(
            share.message.publish(wanted),
            share.origin,
            on_acked=lambda: self._acked(share.ordinal),
            share=share,
            expires_us=share.message.expires_us,
        )
        member.window.send(sent)

    def _acked(self, ordinal: int) -> None:
        self._outstanding.pop(ordinal, None)


def inner_filter(topic_filter: str) -> str:
    """The filter that messages are compared with."""
    shared = split_shared(topic_filter) if topic_filter.startswith(SHARE_PREFIX) else None
    return shared.topic_filter if shared else topic_filter


def is_shared(topic_filter: str) -> bool:
    return topic_filter.startswith(SHARE_PREFIX)
