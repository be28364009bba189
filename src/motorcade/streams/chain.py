"""The causal chain of one signal of one vehicle: every record that carried it, and its fate.

Decoded as live state does it: the same operators in the same order. Asked by `motorcade why`, which
reads all that is stored, and by the page's *explain*, which knows when the records arrived. No IO
but the log's.
"""

import difflib
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, VehicleToken, pack_token
from motorcade.log.errors import LogCorruptError
from motorcade.log.port import AtTime, LogReader, LogSlice, Start
from motorcade.log.topics import TOPICS, Lane
from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.decoder import Decoder
from motorcade.signals.samples import Dictionary, present
from motorcade.streams.dedup import Dedup

SHOWN_MAX: Final = 10  # the newest records that carried the signal
BULK: Final = frozenset(topic for topic, row in TOPICS.items() if row.lane is Lane.BULK)
READABLE: Final = frozenset({Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES})
STATE_TOPICS: Final = frozenset({Topic.TELEMETRY, Topic.ENERGY, Topic.MEDIA})
APART_US: Final = 5_000_000  # records further apart are looked for each from its own instant
PAST_US: Final = 1_000_000  # so far behind an instant nothing that arrived then comes any more


@dataclass(slots=True)
class Carrier:
    """A record that carried the signal, and what became of its value."""

    writer: str
    record: Record
    value: Any
    time_us: int
    fate: str


@dataclass(slots=True)
class Found:
    """What the vehicle's records say about one signal."""

    records: int = 0
    duplicates: int = 0
    malformed: int = 0
    opaque: int = 0
    carried: int = 0
    last_received_us: int = 0
    names: set[str] = field(default_factory=set)
    carriers: deque[Carrier] = field(default_factory=lambda: deque(maxlen=SHOWN_MAX))
    winner: Carrier | None = None


class Search:
    """Decodes one vehicle's records as live state does: the same operators in the same order."""

    def __init__(self, signal: str, config: Config) -> None:
        state = config.state
        self._signal = signal
        self._dedup = Dedup(config.dedup)
        self._future_s = config.time.future_s_max
        dictionary = Dictionary(
            names_per_vehicle_max=state.signals_per_vehicle_max,
            text_bytes_max=state.text_bytes_max,
        )
        self._decoder = Decoder(dictionary, future_us_max=self._future_s * 1_000_000)
        self._texts: dict[int, str] = {}
        self.found = Found()

    def add(self, part: LogSlice, high: int, low: int) -> None:
        """Take a slice; only the vehicle's rows matter."""
        rows = part.batch.rows
        self.take(
            part.batch.select((rows["vehicle_lo"] == low) & (rows["vehicle_hi"] == high)),
            part.writer,
        )

    def take(self, own: RecordBatch, writer: str) -> None:
        """Take records of the vehicle."""
        keep = self._dedup.keep(own, writer)
        for index in range(len(own)):
            if Topic(int(own.rows["topic"][index])) in STATE_TOPICS:
                self._add_row(own, index, writer, kept=bool(keep[index]))

    def _add_row(self, batch: RecordBatch, index: int, writer: str, *, kept: bool) -> None:
        record, found = batch.record(index), self.found
        found.records += 1
        found.last_received_us = max(found.last_received_us, record.received_time_us)
        if record.encoding not in READABLE:
            found.opaque += 1
            return
        if not kept:
            found.duplicates += 1
            return
        before = self._decoder.counts.malformed_records
        samples = self._decoder.decode(batch.select(np.array([index])), np.zeros(1, np.int32))
        found.malformed += self._decoder.counts.malformed_records - before
        self._texts.update(samples.texts)
        names = self._decoder.dictionary
        for signal, time_us, value in zip(
            samples.signal.tolist(), samples.time_us.tolist(), samples.value.tolist(), strict=True
        ):
            known = BY_ID.get(signal)
            name = known.name if known else names.name_of(signal)
            found.names.add(name)
            if name == self._signal:
                shown = present(known, value, self._texts)
                self._carry(Carrier(writer, record, shown, time_us, ""))

    def _carry(self, carrier: Carrier) -> None:
        found, winner = self.found, self.found.winner
        found.carried += 1
        if winner is not None and carrier.time_us < winner.time_us:
            late_s = (winner.time_us - carrier.time_us) / 1e6
            carrier.fate = f"late by {late_s:.3f} s: a newer value stood already"
        else:
            if winner is not None:
                winner.fate = "was the value until a newer one came"
            carrier.fate = "is the value"
            found.winner = carrier
        if carrier.record.flags & Flags.TIME_BOUNDED:
            carrier.fate += (
                f"; its clock ran more than {self._future_s} s ahead: received time stands instead"
            )
        elif not carrier.record.flags & Flags.TIME_GIVEN and carrier.time_us == (
            carrier.record.received_time_us
        ):
            carrier.fate += "; it gave no time: received time stands instead"
        found.carriers.append(carrier)


class ChainBusyError(Exception):
    """As many chains as may be are being looked for; nothing was done."""


class LaneLog(Protocol):
    """A log whose lanes can be read one by one."""

    def lanes(self, topics: frozenset[Topic]) -> Sequence[str]: ...
    def reader(
        self, topics: frozenset[Topic], start: Start, *, lane: str | None = None
    ) -> LogReader: ...


class ByArrival:
    """Finds a vehicle's records by when they arrived. Blocks for the disk, for so long at most."""

    def __init__(self, log: LaneLog, config: Config, clock: Clock) -> None:
        self._log, self._config, self._clock = log, config, clock
        self._turns = threading.Semaphore(config.history.explains_max)

    def find(
        self, vehicle: VehicleToken, signal: str, received_us: Collection[int]
    ) -> tuple[Found, int]:
        """What the records that arrived at these instants say of a signal, and how many of the
        instants were not found: the log has them no more, or time was up.

        Raises:
            ChainBusyError: `history.explains_max` are under way.
            LogError: the disk failed.
        """
        if not self._turns.acquire(blocking=False):
            raise ChainBusyError("others are being explained: ask again in a moment")
        try:
            return self._find(vehicle, signal, received_us)
        finally:
            self._turns.release()

    def _find(
        self, vehicle: VehicleToken, signal: str, received_us: Collection[int]
    ) -> tuple[Found, int]:
        deadline_s = self._clock.monotonic_s() + self._config.history.explain_s_max
        key, left = pack_token(vehicle), set(received_us)
        pieces: list[tuple[int, str, RecordBatch]] = []
        for lane in self._log.lanes(BULK):
            for writer, own in self._rows(lane, key, sorted(left), deadline_s):
                came = own.rows["received_time_us"].tolist()
                pieces.append((came[0], writer, own))
                left.difference_update(came)
        search = Search(signal, self._config)
        for _, writer, own in sorted(pieces, key=lambda piece: piece[0]):
            search.take(own, writer)
        return search.found, len(left)

    def _rows(
        self, lane: str, key: tuple[int, int], wanted: list[int], deadline_s: float
    ) -> Iterator[tuple[str, RecordBatch]]:
        """The vehicle's rows of these instants in a lane. One after the other, but where two lie
        close together, the reader goes on from the first to the second."""
        place = 0
        while place < len(wanted):
            reader = self._log.reader(BULK, AtTime(wanted[place]), lane=lane)
            try:
                reached_us = wanted[place]
                while place < len(wanted) and wanted[place] <= reached_us + APART_US:
                    if self._clock.monotonic_s() > deadline_s:
                        return
                    try:
                        parts = reader.poll(0.0)
                    except LogCorruptError:
                        reader.skip_damage()
                        continue
                    if not parts:  # the end of the lane
                        return
                    for part in parts:
                        own = _of(part.batch, key, wanted)
                        if len(own):
                            yield part.writer, own
                        reached_us = int(part.batch.rows["received_time_us"][-1])
                    while place < len(wanted) and wanted[place] < reached_us - PAST_US:
                        place += 1
            finally:
                reader.close()


def _of(batch: RecordBatch, key: tuple[int, int], received_us: list[int]) -> RecordBatch:
    rows = batch.rows
    own = (rows["vehicle_hi"] == key[0]) & (rows["vehicle_lo"] == key[1])
    return batch.select(own & np.isin(rows["received_time_us"], np.array(received_us, np.int64)))


def explain(signal: str, found: Found, presence: dict[str, Any]) -> list[str]:
    """The conclusion in words: what is so, then what would help."""
    if found.winner is not None:
        return _of_value(found.winner, presence)
    if not found.records:
        if not presence["ever"]:
            return [
                "the vehicle has never connected: nothing of it was ever received",
                "look at its address, key and clock: motorcade doctor --vehicle FILE",
            ]
        return ["the vehicle has connected, and has sent no telemetry that is still stored"]
    close = difflib.get_close_matches(signal, found.names | set(BY_NAME), n=3)
    said = [f"none of the {found.records} stored records carries {signal!r}"]
    if signal not in BY_NAME and close:
        said.append(f"the catalogue does not know that name either; close ones: {', '.join(close)}")
    if found.malformed:
        said.append(f"{found.malformed} records could not be decoded; it may have been in those")
    if found.opaque:
        said.append(
            f"{found.opaque} records are of an encoding that nobody decodes: send JSON with "
            "content type application/json, packed samples, or Tesla's"
        )
    if found.names:
        said.append(f"what it sends: {', '.join(sorted(found.names)[:20])}")
    return said


def _of_value(winner: Carrier, presence: dict[str, Any]) -> list[str]:
    record = winner.record
    said = [
        f"the value is {winner.value!r}: of all that carried it, it has the newest time, and of "
        "equal times came last",
        f"it came in record {record.position} of {record.topic.word}, partition "
        f"{record.partition}, writer {winner.writer}",
    ]
    if winner.value is None:
        said.append("the vehicle itself says that it is unavailable")
    if not presence["online"]:
        said.append("the vehicle is not connected: the value is as old as its last word")
    return said
