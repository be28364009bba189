"""The hot road: bytes of all sockets into one arena, one compiled pass per loop turn.

A socket's bytes are only noted while the loop polls; `run` then takes the whole turn at once:
ordinary PUBLISH packets become rows of the intake's open staging, everything else is given to
`Reader` in order. Who is connected, and the acks that leave after a commit: `slots.py`.

When the intake is full nothing is lost: what lies in the arena stays there, sockets that speak are
parked with their bytes and read no further, and `resume` goes on where `run` stopped.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import RecordBatch
from motorcade.gateway.intake import RESERVE_RECORDS, Intake
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.counts import MqttCounts
from motorcade.gateway.mqtt.kernels import (
    DONE,
    EVENT_COLUMNS,
    FAST,
    HELD,
    PACKET,
    STAGING_FULL,
    STREAM_BYTES_MAX,
    TAIL,
    scan,
)
from motorcade.gateway.mqtt.records import WORDS
from motorcade.gateway.mqtt.rests import Rests
from motorcade.gateway.mqtt.slots import Slots
from motorcade.log.errors import LogError, LogFullError
from motorcade.log.topics import TOPICS, Lane

SCRATCH_BYTES: Final = 4_096  # little: who is parked keeps a copy of what was read so
EVENTS_MAX: Final = 4_096  # noted by one call of `scan`; more make it return early
REJOIN_BYTES_MAX: Final = 16 << 10  # a longer spill is completed apart, not copied at each read
HEADER_BYTES_MAX: Final = 5

logger = structlog.get_logger(__name__)


class Reader(Protocol):
    """Whoever reads what `scan` does not."""

    def opened(self, connection: Connection) -> None:
        """A socket was accepted and has a slot."""

    def read(self, connection: Connection, data: memoryview) -> int:
        """Handle the packets at the start of `data`; return the bytes used.

        Less than all means that the rest waits: it is incomplete, or `connection.busy`.
        """

    def closed(self, connection: Connection) -> None:
        """The socket is gone; its slot is still its own."""

    def failed(self, connection: Connection) -> None:
        """Records of this connection could not be stored: no ack will ever come."""

    def full(self, connection: Connection, packet_ids: list[int]) -> None:
        """These publishes were not stored because the disk is full."""


class Ingest:
    """See the module's text. One per process; all calls come from its loop."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        intake: Intake,
        loop: asyncio.AbstractEventLoop,
        reader: Reader,
        rests: Rests[Connection],
        rest: Callable[[float], None],
    ) -> None:
        """`rest` ends a turn: it starts the commits that are due, then blocks the loop for so many
        seconds, or until something is more urgent.

        Raises:
            ValueError: settings that contradict each other.
        """
        if config.mqtt.packet_bytes_max + STREAM_BYTES_MAX > len(intake.staging.buffer):
            raise ValueError(
                f"mqtt.packet_bytes_max {config.mqtt.packet_bytes_max} does not fit the log's "
                f"buffer of {len(intake.staging.buffer)} bytes: raise log.batch_bytes_max"
            )
        self._loop = loop
        self._clock = clock
        self._intake = intake
        self._reader = reader
        self.counts = MqttCounts()
        self._write_bytes_max = (
            config.gateway.write_buffer_bytes_max + config.mqtt.packet_bytes_max
        )  # a packet of the largest size may follow a backlog just below the limit
        self.read_bytes = config.gateway.read_buffer_bytes
        self.packet_bytes_max = config.mqtt.packet_bytes_max

        arena = np.zeros(3 * self.read_bytes + self.packet_bytes_max, np.uint8)
        self._arena = arena
        self.view = memoryview(arena)  # type: ignore[arg-type]
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))  # what nobody takes now
        self._segments = np.zeros(len(arena), np.int64)  # no segment is empty
        self.notes = memoryview(self._segments)  # type: ignore[arg-type]
        self.count = 0  # segments noted
        self.end = 0  # bytes of the arena in use
        self.scheduled = False
        self._rests, self._rest = rests, rest
        self.paused = False
        self._parked: list[Connection] = []
        self._lost: list[Connection] = []  # gone, but bytes of theirs still wait

        rows_max = len(intake.staging.rows)
        self._progress = np.zeros(4, np.int64)
        self._limits = np.array([self.packet_bytes_max, rows_max - RESERVE_RECORDS], np.int64)
        self._times = np.array([0, config.time.future_s_max * 1_000_000, 0], np.int64)
        self._words = word_table()
        self._events = np.zeros((EVENTS_MAX, EVENT_COLUMNS), np.int64)
        self.slots = Slots(config.gateway, clock, loop, self.counts, acks_max=rows_max)

    # --- sockets -----------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Give a new socket its slot, or close it when there is none left."""
        assert connection.transport is not None
        if not self.slots.take(connection, self.monotonic_us()):
            self.counts.refusals.add("connections_max")
            connection.busy, connection.spill = True, bytearray()  # whatever comes, nobody reads
            connection.abort()
            return
        self.counts.opened.add(connection.door)
        connection.transport.set_write_buffer_limits(high=self._write_bytes_max)
        self._reader.opened(connection)

    def closed(self, connection: Connection) -> None:
        """The socket is gone. What it sent before is taken first."""
        self.slots.ended(connection)
        if self.count and not self.paused:
            self.run()
        if self.paused and connection.slot >= 0:
            self._lost.append(connection)
        else:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        """Take the slot back; what it still waits for is durable or not, but never acked."""
        connection.closing = True
        if connection.slot < 0:
            return
        self._reader.closed(connection)
        connection.spill = None
        connection.late = b""
        self.slots.give_back(connection)

    def go_on(self, connection: Connection) -> None:
        """Its CONNECT is answered: take what came behind it."""
        connection.busy = False
        if connection.slot >= 0:
            self._release(connection)
        if self._parked:
            self.unpark()

    def drop(self, connection: Connection) -> None:
        """Read nothing more of this socket; acks for what was taken may still leave."""
        connection.spill = None
        connection.late = b""
        connection.busy = True
        if connection.slot >= 0:
            self.slots.rows[connection.slot]["state"] = HELD
        self._park(connection)

    def monotonic_us(self) -> int:
        return int(self._clock.monotonic_s() * 1e6)

    # --- reading -----------------------------------------------------------------------------

    def schedule(self) -> None:
        """Run at the end of this loop turn."""
        self.scheduled = True
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Run; in a stream of turns, rest before the sockets are asked again: what arrives during
        the rest is read at once afterwards."""
        self.scheduled = False
        self.run()
        rest_s = self._rests.rest_s(self._clock.monotonic_s())
        if rest_s:
            self._rest(rest_s)

    def read_early(self, connection: Connection) -> bool:
        """In a rest: take what this one says, alone; whether that was possible."""
        scheduled, self.scheduled = self.scheduled, True  # no other turn is needed for this
        try:
            read = not self.paused and connection.read_early()
            self.run()
        finally:
            self.scheduled = scheduled
        return read

    def run(self) -> None:
        """Take everything that was noted."""
        if self.paused or not self.count:
            return
        self._times[0] = self._clock.now_us()
        self._times[2] = self.monotonic_us()
        progress = self._progress
        status = STAGING_FULL
        while status != DONE and not self.paused:
            staging = self._intake.staging
            table = self.slots.tables[staging.index]
            before = int(staging.used[0])
            status = scan(
                self._arena,
                self._segments,
                self.count,
                progress,
                self.slots.rows,
                self.slots.prefixes,
                self._words,
                self._limits,
                self._times,
                staging.rows,
                (staging.buffer, staging.used),
                (table.acks, table.used),
                self._events,
            )
            if staging.used[0]:
                self._intake.schedule()
                self.counts.records += int(staging.used[0]) - before
            if progress[3]:
                self._handle_events()
            if status == STAGING_FULL:
                self._intake.room(1, self.packet_bytes_max + STREAM_BYTES_MAX)
        if status == DONE:
            progress[:] = 0
            self.counts.received_bytes += self.end
            self.count = self.end = 0

    def _handle_events(self) -> None:
        events = self._events[: self._progress[3]].tolist()
        self._progress[3] = 0
        for kind, slot, start, size in events:
            connection = self.slots.connections[slot]
            if connection is None or connection.closing:
                continue
            try:
                self._handle(kind, connection, self.view[start : start + size])
            except Exception:  # ours, but only this peer shall suffer from it (P7)
                logger.exception("mqtt_packet_failed", connection=connection.connection_id)
                connection.abort()

    def _handle(self, kind: int, connection: Connection, data: memoryview) -> None:
        if kind == TAIL:
            self._keep(connection, data)
        elif kind == PACKET:
            self._reader.read(connection, data)
        else:
            self._read(connection, data)

    def _read(self, connection: Connection, data: memoryview) -> None:
        """Bytes of a connection that is not in `scan`'s hands, behind those that wait."""
        if connection.spill is not None:
            self.counts.received_bytes += len(connection.spill)
            connection.spill += data
            if connection.busy or len(connection.spill) < connection.need:
                self.counts.received_bytes -= len(connection.spill)
                return
            data = memoryview(bytes(connection.spill))
            connection.spill = None
        used = 0 if connection.busy else self._reader.read(connection, data)
        if connection.closing:
            return
        if used < len(data):
            self._keep(connection, data[used:])
        if connection.busy:
            self._park(connection)
        else:
            self._release(connection)

    def _keep(self, connection: Connection, data: memoryview) -> None:
        connection.spill = bytearray(data)
        self.counts.received_bytes -= len(data)
        connection.need = _packet_bytes(data)

    def _release(self, connection: Connection) -> None:
        """Python has looked: `scan` may go on with what comes next."""
        row = self.slots.rows[connection.slot]
        if row["state"] == HELD and connection.spill is None and not connection.busy:
            row["state"] = FAST

    def committed(self, index: int, batch: RecordBatch) -> None:
        """Staging `index` is durable: its acks may leave."""
        self.slots.committed(index)

    def failed(self, index: int, error: LogError) -> None:
        """Nothing of staging `index` is durable: close whoever waits for it."""
        for connection, packet_ids in self.slots.failed(index):
            if isinstance(error, LogFullError):
                self._reader.full(connection, packet_ids)
            else:
                self._reader.failed(connection)

    # --- peers that wait ---------------------------------------------------------------------

    def waiting_buffer(self, connection: Connection) -> memoryview:
        """Where to read to when the intake is full, or bytes of this connection wait."""
        if self.paused or connection.busy:
            return self.scratch
        spill = connection.spill
        assert spill is not None
        if max(connection.need, len(spill)) > REJOIN_BYTES_MAX:
            return self.view[self.end : self.end + self.read_bytes]
        start = self.end  # put them before what comes, so that `scan` sees one piece
        self.view[start : start + len(spill)] = spill
        connection.unread_from = start
        start += len(spill)
        return self.view[start : start + self.read_bytes - REJOIN_BYTES_MAX]

    def waiting_bytes(self, connection: Connection, size: int) -> None:
        """`size` bytes came into what `waiting_buffer` gave."""
        rejoined = connection.unread_from
        connection.unread_from = -1
        if connection.slot >= 0:
            self.slots.rows[connection.slot]["heard_us"] = self.monotonic_us()
        if self.paused or connection.busy:
            connection.late += self.scratch[:size]
            self._park(connection)
            return
        assert connection.spill is not None
        if rejoined >= 0:
            size += len(connection.spill)
            connection.spill = None
            self._release(connection)
            self._note(connection, size)
            return
        connection.spill += self.view[self.end : self.end + size]
        if len(connection.spill) >= connection.need:
            self._rejoin(connection)

    def _note(self, connection: Connection, size: int) -> None:
        self.notes[self.count] = connection.mark | size
        self.count += 1
        self.end += size
        if self.end > self.read_bytes:
            self.run()
        elif not self.scheduled:
            self.schedule()

    def _rejoin(self, connection: Connection) -> None:
        """Put waiting bytes back on the road."""
        spill = connection.spill
        if self.end:
            self.run()
        if spill is None or connection.spill is not spill or connection.closing:
            return
        if self.paused:
            self._park(connection)
            return
        connection.spill = None
        self._release(connection)
        self.view[self.end : self.end + len(spill)] = spill
        self._note(connection, len(spill))

    def _park(self, connection: Connection) -> None:
        if not connection.parked and connection.transport is not None:
            connection.parked = True
            connection.transport.pause_reading()
            self._parked.append(connection)

    def pause(self) -> None:
        """Both stagings are in use: whoever speaks is parked."""
        self.paused = True

    def resume(self) -> None:
        """Go on where `run` stopped, then with the parked."""
        self.paused = False
        self.run()
        self.unpark()
        if not self.paused:
            if self.count:
                self.run()
            lost, self._lost = self._lost, []
            for connection in lost:
                self.closed(connection)

    def unpark(self) -> None:
        """Let parked connections speak again, unless they have to wait for something else."""
        parked, self._parked = self._parked, []
        for connection in parked:
            if connection.closing:
                continue
            if self.paused or connection.busy:
                self._parked.append(connection)
                continue
            connection.parked = False
            if connection.late:
                connection.need = connection.need if connection.spill else 0
                connection.spill = (connection.spill or bytearray()) + connection.late
                connection.late = b""
            if connection.spill is not None and len(connection.spill) >= connection.need:
                self._rejoin(connection)
            if not connection.parked and connection.transport is not None:
                connection.transport.resume_reading()


def _packet_bytes(data: memoryview) -> int:
    """The size of the packet that `data` begins, or what must come to know it."""
    size = 0
    for index in range(1, HEADER_BYTES_MAX):
        if index >= len(data):
            return len(data) + 1
        size |= (data[index] & 0x7F) << (7 * (index - 1))
        if data[index] < 0x80:
            return size + index + 1
    return len(data)  # a broken length: whoever reads it says so


def word_table() -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The bulk topics a vehicle may publish to, as `scan` wants them."""
    words = {word: topic for word, topic in WORDS.items() if TOPICS[topic].lane is Lane.BULK}
    texts = np.zeros((len(words), max(map(len, words))), np.uint8)
    for index, word in enumerate(words):
        texts[index, : len(word)] = np.frombuffer(word.encode(), np.uint8)
    sizes = np.array([len(word) for word in words], np.int64)
    return texts, sizes, np.array([int(topic) for topic in words.values()], np.int64)
