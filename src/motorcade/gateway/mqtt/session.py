"""A session: filters, a place in the log, a small window of messages in flight.

A session is a cursor, never a queue of copies (design §4). While its client is connected and keeps
up it is *live*: the router hands it each message as the log has it. A client that is gone or slow
leaves `cursor` behind, and `feeding.py` reads on from there when it can take more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.store import StoredSession, StoredSubscription
from motorcade.log.port import Cursor
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.mqtt.publish import Publish, encode_publish
from motorcade.wire.mqtt.subscribe import Subscription

PACKET_ID_MAX: Final = 0xFFFF
TOPICS: Final = max(Topic) + 1
BACKLOG_BYTES: Final = 64 << 10  # more than this unsent: the client is slow, its session waits


@dataclass(slots=True)
class Sent:
    """A QoS 1 message on its way, until PUBACK."""

    publish: Publish  # without packet id
    origin: Cursor | None  # the log read from here gives it again; None: not from the router
    on_acked: Callable[[], None] | None = None
    wanted: Callable[[], bool] | None = None  # asked before it is sent again


class Seen:
    """Highest positions handed on, per writer, topic and partition: makes joining exact."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._highest: dict[str, npt.NDArray[np.int64]] = {}

    def add(self, writer: str, batch: RecordBatch) -> None:
        """Everything in `batch` was handed on, or was not wanted."""
        table = self._table(writer)
        rows = batch.rows
        np.maximum.at(
            table,
            (rows["topic"].astype(np.intp), rows["partition"].astype(np.intp)),
            rows["position"],
        )

    def has(self, writer: str, record: Record) -> bool:
        """Whether the record, or a later one of its topic and partition, was added."""
        table = self._table(writer)
        return bool(table[record.topic, record.partition] >= record.position)

    def _table(self, writer: str) -> npt.NDArray[np.int64]:
        table = self._highest.get(writer)
        if table is None:
            table = np.full((TOPICS, self._partitions), -1, np.int64)
            self._highest[writer] = table
        return table


@dataclass(slots=True, eq=False)
class Session:
    """One client's state. `connection` is None while it is offline."""

    key: str
    expiry_s: int = 0
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    principal: Principal | None = None
    connection: Connection | None = None
    offline_since_us: int = 0
    window: int = 0  # messages of the router in flight at once
    sent: dict[int, Sent] = field(default_factory=dict)
    live: bool = False
    cursor: Cursor | None = None  # where to read on; None while live
    seen: Seen | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)  # for room, or the end
    away_since_us: int = 0  # what `offline_since_us` was before the client came back
    lagged: bool = False  # it was being fed when an earlier process died
    publishes_seen: int = -1  # the router's count of operators' publishes when it went offline
    _last_id: int = 0

    @property
    def persistent(self) -> bool:
        """Whether it outlives its connection."""
        return self.expiry_s > 0

    @property
    def token(self) -> VehicleToken | None:
        """The vehicle, if it is one's session."""
        principal = self.principal
        if principal is None or principal.kind is not PrincipalKind.VEHICLE:
            return None
        return principal.token

    def has_room(self) -> bool:
        """Whether the router may send another QoS 1 message."""
        connection = self.connection
        if connection is None or len(self.sent) >= self.window:
            return False
        return not self.sent or connection.backlog() <= BACKLOG_BYTES

    def may_send(self) -> bool:
        """Whether the client's receive maximum allows one more; commands go by this alone."""
        connection = self.connection
        return connection is not None and len(self.sent) < connection.receive_max

    def send(self, publish: Publish, sent: Sent | None) -> None:
        """Write a PUBLISH; `sent` is given exactly for QoS 1."""
        connection = self.connection
        assert connection is not None
        if sent is not None:
            packet_id = self._next_id()
            self.sent[packet_id] = sent
            publish = replace(publish, packet_id=packet_id)
        data = encode_publish(publish, connection.level)
        if len(data) <= connection.packet_bytes_max:
            connection.write(data)
        elif publish.packet_id is not None:  # as if it had been delivered [MQTT-3.1.2-25]
            self.acked(publish.packet_id)

    def acked(self, packet_id: int) -> bool:
        """PUBACK. False: no such message, which is harmless."""
        sent = self.sent.pop(packet_id, None)
        if sent is None:
            return False
        if sent.on_acked is not None:
            sent.on_acked()
        self.wake()
        return True

    def wake(self) -> None:
        """Tell who waits that there is room, or that the client is gone."""
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()

    def resend(self) -> None:
        """Send again what was not acknowledged, in order, with DUP [MQTT-4.4.0-1]."""
        connection = self.connection
        assert connection is not None
        for packet_id, sent in list(self.sent.items()):
            if sent.wanted is not None and not sent.wanted():
                del self.sent[packet_id]
                continue
            publish = replace(sent.publish, packet_id=packet_id, dup=True)
            data = encode_publish(publish, connection.level)
            if len(data) <= connection.packet_bytes_max:
                connection.write(data)
            else:
                self.acked(packet_id)

    def owed_from(self, position: Cursor | None) -> Cursor | None:
        """The cursor from which nothing unacknowledged is missing; `position` if all is acked."""
        return next((s.origin for s in self.sent.values() if s.origin is not None), position)

    def stored(self, cursor: Cursor | None) -> StoredSession:
        """This session as a row."""
        return StoredSession(
            self.key,
            self.expiry_s,
            self.offline_since_us,
            cursor or b"",
            tuple(
                StoredSubscription(s.topic_filter, s.qos, s.no_local, s.retain_as_published)
                for s in self.subscriptions.values()
            ),
        )

    @staticmethod
    def restored(row: StoredSession, live_cursor: bytes, now_us: int) -> "Session":
        """The session of a row, offline since the row was written or the process died."""
        return Session(
            row.key,
            row.expiry_s,
            {
                s.topic_filter: Subscription(
                    s.topic_filter, s.qos, s.no_local, s.retain_as_published
                )
                for s in row.subscriptions
            },
            offline_since_us=row.offline_since_us or now_us,
            lagged=bool(row.cursor) and not row.offline_since_us,
            cursor=Cursor(row.cursor or live_cursor),
        )

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % PACKET_ID_MAX + 1
            if self._last_id not in self.sent:
                return self._last_id


def session_key(principal: Principal, client_id: str) -> str:
    """Client ids are each account's own: nobody takes over the session of another."""
    return f"{principal.kind}/{principal.name}/{client_id}"
