"""The causal chain of one signal of one vehicle: every record that carried it, and its fate."""

import difflib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from motorcade.cli.log_reading import slices, vehicle_of
from motorcade.cli.why_presence import Presence
from motorcade.config import Config
from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, pack_token
from motorcade.log.port import LogSlice
from motorcade.log.topics import TOPICS, Lane
from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.decoder import Decoder
from motorcade.signals.samples import Dictionary, present
from motorcade.streams.dedup import Dedup

SHOWN_MAX: Final = 10  # the newest records that carried the signal
BULK: Final = frozenset(topic for topic, row in TOPICS.items() if row.lane is Lane.BULK)
READABLE: Final = frozenset({Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES})
STATE_TOPICS: Final = frozenset({Topic.TELEMETRY, Topic.ENERGY, Topic.MEDIA})


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
        own = part.batch.select((rows["vehicle_lo"] == low) & (rows["vehicle_hi"] == high))
        keep = self._dedup.keep(own, part.writer)
        for index in range(len(own)):
            if Topic(int(own.rows["topic"][index])) in STATE_TOPICS:
                self._add_row(own, index, part.writer, kept=bool(keep[index]))

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


def chain(data: Path, vin: str, signal: str) -> dict[str, Any]:
    """What the log holds about a signal. Raises `CommandError` when there is no such vehicle."""
    vehicle = vehicle_of(data, vin)
    search = Search(signal, Config())
    high, low = pack_token(vehicle.token)
    for part in slices(data, BULK):
        search.add(part, high, low)
    presence = Presence()
    presence.read(data, vehicle.token)
    found = search.found
    return {
        "vehicle": vehicle.token,
        "signal": signal,
        "in_catalogue": signal in BY_NAME,
        "value": None if found.winner is None else found.winner.value,
        "has_value": found.winner is not None,
        "records": found.records,
        "duplicates": found.duplicates,
        "malformed": found.malformed,
        "opaque": found.opaque,
        "carried": found.carried,
        "last_received_time_us": found.last_received_us or None,
        "presence": presence.summary(),
        "carriers": [_as_object(carrier) for carrier in reversed(found.carriers)],
        "why": explain(signal, found, presence.summary()),
    }


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


def _as_object(carrier: Carrier) -> dict[str, Any]:
    record = carrier.record
    return {
        "received_time_us": record.received_time_us,
        "time_us": carrier.time_us,
        "value": carrier.value,
        "fate": carrier.fate,
        "writer": carrier.writer,
        "topic": record.topic.word,
        "partition": record.partition,
        "position": record.position,
        "encoding": record.encoding.content_type,
        "stream": record.stream.decode("utf-8", "backslashreplace") or None,
        "sequence": record.sequence,
    }
