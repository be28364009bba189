"""The ledger's arithmetic: what the log says of each vehicle's records. No IO.

What a vehicle *sent* is known where it numbers its records: all from the lowest to the highest
number that came. What it sent before, after, or without numbers and lost on the way, nobody here
knows. *Acked* is bounded: an acknowledgement leaves only after its record is durable (P1), and
whether it arrived only the vehicle knows; a record that came twice had an ack that did not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from motorcade.events import Flags, RecordBatch, Topic, VehicleToken, unpack_token
from motorcade.log.port import LogSlice
from motorcade.log.topics import TOPICS
from motorcade.streams.dedup import Dedup

OF_VEHICLES: Final = frozenset(topic for topic, row in TOPICS.items() if row.vehicle_may_publish)
ACKED: Final = int(Flags.QOS_1 | Flags.QOS_2 | Flags.IDENTITY_HASH)  # Fleet Telemetry acks all


@dataclass(slots=True)
class Stream:
    """The numbered records of one sender's stream."""

    name: str
    first: int
    last: int
    read: int = 0  # different numbers that are stored

    @property
    def sent(self) -> int:
        """At least."""
        return self.last - self.first + 1

    @property
    def missing(self) -> int:
        """Numbers between the first and the last that never came, or that retention removed."""
        return max(0, self.sent - self.read)


@dataclass(slots=True)
class Account:
    """One vehicle."""

    stored: int = 0  # records in the log, duplicates among them
    acked_max: int = 0  # of these, such as are acknowledged: acks that left, at most
    read: int = 0  # what every reader sees: duplicates removed
    unnumbered: int = 0  # read ones without a number
    first_us: int = 0  # received
    last_us: int = 0
    streams: dict[int, Stream] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        return self.stored - self.read

    @property
    def sent_min(self) -> int:
        """Sent at least: all numbers between those that came, and what came without."""
        return sum(stream.sent for stream in self.streams.values()) + self.unnumbered

    @property
    def missing(self) -> int:
        return sum(stream.missing for stream in self.streams.values())


class Accounts:
    """All vehicles; `add` every slice of topics `OF_VEHICLES`, in order."""

    def __init__(self, dedup: Dedup) -> None:
        self._dedup = dedup
        self.by_vehicle: dict[VehicleToken, Account] = {}

    def add(self, part: LogSlice) -> None:
        keep = self._dedup.keep(part.batch, part.writer)
        rows = part.batch.rows
        # Notices about commands bear the vehicle's token, but the gateway wrote them.
        own = (rows["topic"] != Topic.COMMAND_ANSWERS) | (rows["name_bytes"] == 0)
        own &= (rows["vehicle_hi"] | rows["vehicle_lo"]) != 0
        own &= np.isin(rows["topic"], [int(topic) for topic in OF_VEHICLES])
        for index in _groups(rows, own, ("vehicle_hi", "vehicle_lo")):
            self._add_vehicle(part.batch, index, keep)

    def _add_vehicle(self, batch: RecordBatch, index: "np.ndarray", keep: "np.ndarray") -> None:
        rows = batch.rows[index]
        account = self.by_vehicle.setdefault(
            unpack_token(rows["vehicle_hi"][0], rows["vehicle_lo"][0]), Account()
        )
        kept = keep[index]
        numbered = (rows["flags"] & int(Flags.IDENTITY_SEQUENCE)) != 0
        account.stored += len(rows)
        account.acked_max += int(np.count_nonzero(rows["flags"] & ACKED))
        account.read += int(kept.sum())
        account.unnumbered += int((kept & ~numbered).sum())
        received = rows["received_time_us"]
        account.first_us = min(account.first_us or int(received.min()), int(received.min()))
        account.last_us = max(account.last_us, int(received.max()))
        for places in _groups(rows, numbered, ("identity_hi",)):
            numbers = rows["identity_lo"][places]
            low, high = int(numbers.min()), int(numbers.max())
            key = int(rows["identity_hi"][places[0]])
            stream = account.streams.get(key)
            if stream is None:
                name = _stream_name(batch, int(index[places[0]]))
                stream = account.streams[key] = Stream(name, low, high)
            stream.first, stream.last = min(stream.first, low), max(stream.last, high)
            stream.read += int(kept[places].sum())


def _stream_name(batch: RecordBatch, index: int) -> str:
    return batch.record(index).stream.decode("utf-8", "backslashreplace")


def _groups(
    rows: "np.ndarray", mask: "np.ndarray", columns: tuple[str, ...]
) -> Iterator["np.ndarray"]:
    """The indices of the masked rows, by equal values in `columns`."""
    index = np.flatnonzero(mask)
    if not len(index):
        return
    keys = np.stack([rows[column][index] for column in columns])
    order = np.lexsort(keys)
    index, keys = index[order], keys[:, order]
    cuts = np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1
    yield from np.split(index, cuts)
