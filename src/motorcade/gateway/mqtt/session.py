"""A session: filters, a place in the log, a small window of messages in flight.

A session is a cursor, never a queue of copies (design §4). While its client is connected and keeps
up it is *live*: the router hands it each message as the log has it. A client that is gone or slow
leaves `cursor` behind, and `feeding.py` reads on from there when it can take more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.receipts import Receipt, State
from motorcade.gateway.mqtt.store import StoredSession, StoredSubscription, StoredWill
from motorcade.gateway.mqtt.wills import restored_will
from motorcade.gateway.mqtt.window import Sent, Window
from motorcade.log.port import Cursor
from motorcade.log.topics import Lane
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.subscribe import Subscription

TOPICS: Final = max(Topic) + 1
BACKLOG_BYTES: Final = 64 << 10  # more than this unsent: the client is slow, its session waits


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
    offline_since_us: int = 0
    inflight_max: int = 0  # messages of the router in flight at once
    window: Window = field(default_factory=Window)
    received: dict[int, Receipt] = field(default_factory=dict)  # QoS 2, until PUBCOMP
    received_changed: bool = False  # since they were written down
    live: bool = False
    cursor: Cursor | None = None  # where to read on; None while live
    seen: Seen | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)  # for room, or the end
    away_since_us: int = 0  # what `offline_since_us` was before the client came back
    fresh: dict[str, int] = field(default_factory=dict)
    """Filters that are younger than what the router hands out: when they came, in wall time."""
    will: StoredWill | None = None
    lagged: bool = False  # it was being fed when an earlier process died
    publishes_seen: int = -1  # the router's count of operators' publishes when it went offline

    @property
    def connection(self) -> Connection | None:
        return self.window.connection

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
        """Whether the router may send another message at QoS 1 or 2."""
        connection, window = self.connection, self.window
        if connection is None or len(window) >= self.inflight_max:
            return False
        return not len(window) or connection.backlog() <= BACKLOG_BYTES

    def send(self, publish: Publish, sent: Sent | None) -> None:
        """Write a PUBLISH; `sent` is given exactly for QoS 1 and 2."""
        if sent is not None:
            self.window.send(sent)
        elif self.connection is not None:
            self.connection.deliver(publish)

    def acked(self, ended: Sent | None) -> None:
        """A message has come to its end, or not."""
        if ended is not None:
            self.wake()

    def on_room(self, call: Callable[[], None]) -> None:
        """Call once when there may be room, or the client is gone."""
        self.waiting.append(call)

    def wake(self) -> None:
        """Tell who waits that there is room, or that the client is gone."""
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()

    def owed_from(self, position: Cursor | None) -> Cursor | None:
        """The cursor from which nothing unacknowledged is missing; `position` if all is acked."""
        return next((sent.origin for sent in self.window.owed()), position)

    def stored(self, cursor: Cursor | None) -> StoredSession:
        """This session as a row."""
        return StoredSession(
            self.key,
            self.expiry_s,
            self.offline_since_us,
            cursor or b"",
            tuple(
                StoredSubscription(
                    s.topic_filter, s.qos, s.no_local, s.retain_as_published, s.identifier
                )
                for s in self.subscriptions.values()
            ),
            tuple(
                (packet_id, receipt.lane.value)
                for packet_id, receipt in self.received.items()
                if receipt.logged and receipt.state is not State.PENDING
            ),
            self.will,
        )

    @staticmethod
    def restored(row: StoredSession, live_cursor: bytes, now_us: int) -> "Session":
        """The session of a row, offline since the row was written or the process died."""
        return Session(
            row.key,
            row.expiry_s,
            {
                s.topic_filter: Subscription(
                    s.topic_filter, s.qos, s.no_local, s.retain_as_published, 0, s.identifier
                )
                for s in row.subscriptions
            },
            offline_since_us=row.offline_since_us or now_us,
            received={packet_id: Receipt(Lane(lane)) for packet_id, lane in row.received},
            lagged=bool(row.cursor) and not row.offline_since_us,
            will=restored_will(row.will, row.expiry_s, now_us),
            cursor=Cursor(row.cursor or live_cursor),
        )


def session_key(principal: Principal, client_id: str) -> str:
    """Client ids are each account's own: nobody takes over the session of another."""
    return f"{principal.kind}/{principal.name}/{client_id}"


def session_key_of(record: Record) -> str:
    """The session that published a record. A vehicle has one: its client id is its token."""
    if record.vehicle:
        return f"{PrincipalKind.VEHICLE}/{record.vehicle}/{record.vehicle}"
    return record.stream.decode()
