"""Who is connected, a slot each, and the acks that they wait for.

A slot is a row that `scan` reads and writes, beside the connection it stands for. `scan` notes an
ack for each publish at QoS 1; after the commit they leave, one write per connection.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.clock import Clock
from motorcade.config import GatewayConfig
from motorcade.events import pack_token
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.counts import MqttCounts
from motorcade.gateway.mqtt.kernels import (
    ACK_SLOT_SHIFT,
    CLOSED,
    CONNECTION_DTYPE,
    HELD,
    SLOT_MASK,
    SLOW,
    build_acks,
)
from motorcade.gateway.mqtt.payload.kernels import PREFIX_BYTES
from motorcade.gateway.mqtt.records import Owner

ACK_BYTES: Final = 4  # PUBACK without properties, §3.4


@dataclass(slots=True)
class AckTable:
    """The acks owed for one staging, in the order of its rows."""

    acks: npt.NDArray[np.int64]
    used: npt.NDArray[np.int64]


class Slots:
    """See the module's text."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        counts: MqttCounts,
        *,
        acks_max: int,
    ) -> None:
        """`acks_max`: owed for one staging, which has so many rows."""
        self._clock = clock
        self._loop = loop
        self._counts = counts
        slots = config.connections_max
        self.rows = np.zeros(slots, CONNECTION_DTYPE)
        self.prefixes = np.zeros((slots, PREFIX_BYTES), np.uint8)
        self.connections: list[Connection | None] = [None] * slots
        self._free = list(range(slots - 1, -1, -1))
        self._lingering: dict[Connection, float] = {}  # closed by us: when
        self._acks_per_turn_max = config.acks_per_turn_max
        self.tables = [
            AckTable(np.zeros(acks_max, np.int64), np.zeros(1, np.int64)) for _ in range(2)
        ]
        self._owed: deque[npt.NDArray[np.int64]] = deque()  # durable, not yet written
        self._order = np.zeros(self._acks_per_turn_max, np.int64)
        self._ends = np.zeros(self._acks_per_turn_max, np.int64)
        self._out = np.zeros(4 * self._acks_per_turn_max, np.uint8)
        self._settling: dict[int, list[asyncio.Future[None]]] = {}

    def has_room(self, under_way: int) -> bool:
        """Whether another socket would get a slot, behind those that are about to come."""
        return len(self._free) > under_way

    def take(self, connection: Connection, now_us: int) -> bool:
        """Give a new socket its slot. False: there is none left. `now_us` is monotonic."""
        if not self._free:
            return False
        slot = connection.slot = self._free.pop()
        connection.mark = slot << 32
        row = self.rows[slot]
        connection.generation = int(row["generation"]) + 1
        self.rows[slot] = np.zeros((), CONNECTION_DTYPE)
        row["generation"], row["state"] = connection.generation, SLOW
        row["heard_us"] = now_us
        self.connections[slot] = connection
        return True

    def give_back(self, connection: Connection) -> None:
        """Take the slot back; nobody waits for its acks any more."""
        slot, connection.slot = connection.slot, -1
        self.rows[slot]["state"] = CLOSED
        self.connections[slot] = None
        self.settle(slot)
        self._free.append(slot)

    def admit(self, connection: Connection, owner: Owner | None, receive_max: int) -> None:
        """The peer is known. A vehicle's packets go through `scan` from now on."""
        row = self.rows[connection.slot]
        row["level"], row["receive_max"] = connection.level, receive_max
        if owner is None:
            return
        row["vehicle_hi"], row["vehicle_lo"] = pack_token(owner.token)
        row["key_id"], row["epoch"] = owner.key_id, owner.epoch
        row["partition"] = owner.partition
        prefix = f"v/{owner.token}/".encode()
        self.prefixes[connection.slot] = np.frombuffer(prefix, np.uint8)
        row["state"] = HELD

    def lingers(self, connection: Connection) -> None:
        """We closed it; the peer has a while to take what is still unsent."""
        self._lingering[connection] = self._clock.monotonic_s()

    def ended(self, connection: Connection) -> None:
        """Its socket is gone."""
        self._lingering.pop(connection, None)

    def abort_lingering(self, older_s: float) -> None:
        """Cut off those that took nothing for so long after we closed them."""
        now_s = self._clock.monotonic_s()
        for connection, since_s in list(self._lingering.items()):
            if now_s - since_s >= older_s:
                del self._lingering[connection]
                connection.abort()

    # --- acks --------------------------------------------------------------------------------

    def committed(self, index: int) -> None:
        """Staging `index` is durable: its acks may leave."""
        table = self.tables[index]
        count = int(table.used[0])
        table.used[0] = 0
        if not count:
            return
        acks = table.acks[:count]
        if self._owed or count > self._acks_per_turn_max:
            if not self._owed:
                self._loop.call_soon(self._write_owed)
            for start in range(0, count, self._acks_per_turn_max):
                self._owed.append(acks[start : start + self._acks_per_turn_max].copy())
        else:
            self._write(acks)

    def _write_owed(self) -> None:
        self._write(self._owed.popleft())
        if self._owed:
            self._loop.call_soon(self._write_owed)

    def _write(self, acks: npt.NDArray[np.int64]) -> None:
        """PUBACKs, one write per connection."""
        groups = build_acks(acks, len(acks), self.rows, self._order, self._ends, self._out)
        if not groups:
            return
        slots, ends = self._order[:groups].tolist(), self._ends[:groups].tolist()
        data = self._out[: ends[-1]].tobytes()
        self._counts.acks += ends[-1] // ACK_BYTES
        connections = self.connections
        start = 0
        for slot, end in zip(slots, ends, strict=True):
            connection = connections[slot]
            if connection is not None and not connection.closing:
                connection.write_ack(data[start:end])
            start = end
        if self._settling:
            for slot in slots:
                self.settle(slot)

    def failed(self, index: int) -> Iterator[tuple[Connection, list[int]]]:
        """Nothing of staging `index` is durable: who waits for it, and for which packets."""
        table = self.tables[index]
        acks = table.acks[: int(table.used[0])].copy()
        table.used[0] = 0
        build_acks(acks, len(acks), self.rows, np.zeros_like(acks), np.zeros_like(acks), _out(acks))
        acks = acks[acks >= 0]
        slots = (acks >> ACK_SLOT_SHIFT) & SLOT_MASK
        for slot in np.unique(slots).tolist():
            connection = self.connections[slot]
            if connection is not None:
                yield connection, (acks[slots == slot] & 0xFFFF).tolist()
            self.settle(slot)

    def count_published(self, connection: Connection) -> None:
        """A message was taken outside `scan`."""
        if connection.slot >= 0:
            self.rows["published"][connection.slot] += 1

    def count_in_flight(self, connection: Connection, change: int) -> None:
        """A publish at QoS 1 or 2 was taken outside `scan` (or is durable)."""
        slot = connection.slot
        if slot >= 0:
            self.rows[slot]["in_flight"] += change
            if change < 0:
                self.settle(slot)

    def count_unreleased(self, connection: Connection, change: int) -> None:
        """A QoS 2 publish was answered by PUBREC (or PUBCOMP): what `scan` may take shrinks."""
        if connection.slot >= 0:
            connection.unreleased += change
            row = self.rows[connection.slot]
            row["receive_max"] = int(row["receive_max"]) - change

    def in_flight(self, connection: Connection) -> int:
        """Publishes of this connection at QoS 1 and 2 that are not durable yet."""
        return int(self.rows[connection.slot]["in_flight"]) if connection.slot >= 0 else 0

    async def settled(self, connection: Connection) -> None:
        """Wait until everything this connection published is acknowledged, or it is gone."""
        if self.in_flight(connection) <= 0:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._settling.setdefault(connection.slot, []).append(future)
        await future

    def settle(self, slot: int) -> None:
        """Tell those who wait for the slot's acks, if none is left to come."""
        if slot in self._settling and (
            self.connections[slot] is None or self.rows[slot]["in_flight"] <= 0
        ):
            for future in self._settling.pop(slot):
                if not future.done():
                    future.set_result(None)


def _out(acks: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return np.zeros(4 * len(acks), np.uint8)
