"""One Kafka message of the log: the records of one append that fall into one partition group.

A message per record would cost 3.6 µs at the producer and 1.7 at the consumer, a packed one of 500
records 0.17 and 0.16 per record (measured), so the rows and their bytes travel as two blocks, as in
a segment file. After the header stands the table of next positions of the whole group: the last
message of a partition therefore tells a writer where to go on after a restart. Kafka's own
checksums guard the bytes. No IO here.
"""

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import RECORD_DTYPE, RecordBatch, Rows
from motorcade.log.errors import LogCorruptError
from motorcade.log.segment import TOPIC_ROWS

_MAGIC: Final = b"MCK1"
_HEADER: Final = struct.Struct("<4sIII")  # magic, positions, rows, bytes of the buffer
_POSITION_DTYPE: Final = np.dtype([("place", "<u4"), ("position", "<i8")])

Place = int  # topic << 16 | partition
Positions = dict[Place, int]  # the next position of each place


def places_of(rows: Rows) -> npt.NDArray[np.int64]:
    """The place of each row."""
    places: npt.NDArray[np.int64] = rows["topic"].astype(np.int64) << 16 | rows["partition"]
    return places


def number(rows: Rows, positions: Positions) -> None:
    """Give each row its position and move `positions` on. In row order, dense per place."""
    places, which, counts = np.unique(places_of(rows), return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    firsts = np.cumsum(counts) - counts
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - np.repeat(firsts, counts)
    starts = np.array([positions.get(int(place), 0) for place in places], np.int64)
    rows["position"] = starts[which] + ranks
    for place, start, count in zip(places, starts, counts, strict=True):
        positions[int(place)] = int(start + count)


def record_bytes(rows: Rows) -> npt.NDArray[np.int64]:
    """How many bytes of the buffer each row owns."""
    names = ("name_bytes", "stream_bytes", "properties_bytes", "payload_bytes")
    total = np.zeros(len(rows), np.int64)
    for name in names:
        total += rows[name]
    return total


def compact(batch: RecordBatch) -> RecordBatch:
    """The same records over a buffer that holds their bytes alone, in row order."""
    lengths = record_bytes(batch.rows)
    begins = batch.rows["start"].astype(np.int64)
    source = memoryview(np.ascontiguousarray(batch.buffer).data)
    # Slices, not an index per byte: a record may have 16 MB.
    pairs = zip(begins.tolist(), (begins + lengths).tolist(), strict=True)
    joined = b"".join([source[begin:end] for begin, end in pairs])
    rows = batch.rows.copy()
    rows["start"] = np.cumsum(lengths) - lengths
    return RecordBatch(rows, np.frombuffer(joined, np.uint8))


def encode(batch: RecordBatch, positions: Positions) -> bytes:
    """Pack a compact batch and its group's next positions into a message."""
    table = np.array(sorted(positions.items()), _POSITION_DTYPE)
    header = _HEADER.pack(_MAGIC, len(table), len(batch), len(batch.buffer))
    return b"".join((header, table.tobytes(), batch.rows.tobytes(), batch.buffer.tobytes()))


def _are_possible(batch: RecordBatch) -> bool:
    """Whether kernels, which look at no bounds, may read these rows."""
    rows = batch.rows
    ends = rows["start"].astype(np.int64) + record_bytes(rows)
    return bool((ends <= len(batch.buffer)).all() and (rows["topic"] < TOPIC_ROWS).all())


def decode(message: bytes) -> tuple[RecordBatch, Positions]:
    """The inverse of `encode`.

    Raises:
        LogCorruptError: these bytes were not made by `encode`.
    """
    if len(message) < _HEADER.size:
        raise LogCorruptError(f"a Kafka message of {len(message)} bytes is too short to be ours")
    magic, positions, rows, buffer_bytes = _HEADER.unpack_from(message)
    table_end = _HEADER.size + positions * _POSITION_DTYPE.itemsize
    rows_end = table_end + rows * RECORD_DTYPE.itemsize
    if magic != _MAGIC or len(message) != rows_end + buffer_bytes:
        raise LogCorruptError(
            f"a Kafka message of {len(message)} bytes, starting {magic!r}, is not a frame of ours; "
            "does another program write to this topic?"
        )
    table = np.frombuffer(message, _POSITION_DTYPE, positions, _HEADER.size)
    batch = RecordBatch(
        np.frombuffer(message, RECORD_DTYPE, rows, table_end),
        np.frombuffer(message, np.uint8, buffer_bytes, rows_end),
    )
    if not _are_possible(batch):
        raise LogCorruptError(
            "a Kafka message whose rows lie outside of it, or have no such topic; does another "
            "program write to this topic?"
        )
    return batch, {int(place): int(position) for place, position in table}
