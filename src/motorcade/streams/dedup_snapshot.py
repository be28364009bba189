"""The bytes of a `Dedup` snapshot: sorted by key, so equal states give equal bytes. No IO.

Layout, little-endian: header, then per column one block: stream keys (3 words), last seen, islands
per stream, islands (low, high), identities (4 key words, time), and a CRC-32 of all before it.
"""

import struct
import zlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.streams import kernels

_HEADER: Final = struct.Struct("<4s5Q")  # magic, streams, islands, identities, the two limits
_MAGIC: Final = b"MCD1"
_CRC: Final = struct.Struct("<I")

Words = npt.NDArray[np.uint64]


class DedupSnapshotError(ValueError):
    """The bytes are no snapshot of a `Dedup`: drop the reader's state and replay the log."""


class Snapshot(NamedTuple):
    """A `Dedup`'s state as compact rows, laid out as in `kernels.py`."""

    streams: Words
    blocks: Words
    identities: Words
    streams_max: int  # the tables' present limits: they decide when the next rows are forgotten
    identities_max: int


def _sorted(rows: Words) -> Words:
    return rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]


def pack(state: Snapshot) -> bytes:
    """Write the state down."""
    streams = _sorted(state.streams)
    counts, islands = _gather(streams, state.blocks)
    header = _HEADER.pack(
        _MAGIC,
        len(streams),
        len(islands),
        len(state.identities),
        state.streams_max,
        state.identities_max,
    )
    columns = (
        streams[:, :3],
        streams[:, kernels.SEEN],
        counts,
        islands,
        _sorted(state.identities),
    )
    body = header + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
    return body + _CRC.pack(zlib.crc32(body))


def unpack(data: bytes, islands_max: int) -> Snapshot:
    """Read a state back, with at most the highest `islands_max` islands per stream.

    Raises:
        DedupSnapshotError: these bytes were not made by `pack`, or are damaged.
    """
    body = data[: -_CRC.size]
    if len(body) < _HEADER.size or _CRC.pack(zlib.crc32(body)) != data[-_CRC.size :]:
        raise DedupSnapshotError(
            f"{len(data)} bytes of dedup state do not match their checksum: drop the reader's "
            "state and replay the log"
        )
    magic, streams_count, islands_count, identities_count, *limits = _HEADER.unpack_from(body)
    widths = (3 * streams_count, streams_count, streams_count, 2 * islands_count)
    words = sum(widths) + kernels.IDENTITY_WORDS * identities_count
    if magic != _MAGIC or len(body) != _HEADER.size + 8 * words:
        raise DedupSnapshotError(
            f"dedup state of another version, {magic!r}: drop the reader's state and replay the log"
        )
    numbers = np.frombuffer(body, np.uint64, words, _HEADER.size)
    keys, seen, counts, islands, identities = np.split(numbers, np.cumsum(widths))
    if min(limits) < 1 or not _add_up(counts, islands_count):
        raise DedupSnapshotError(
            "dedup state that contradicts itself: drop the reader's state and replay the log"
        )
    streams = np.zeros((streams_count, kernels.STREAM_WORDS), np.uint64)
    streams[:, :3] = keys.reshape(-1, 3)
    streams[:, kernels.SEEN] = seen
    blocks = _spread(streams, counts.astype(np.int64), islands.reshape(-1, 2), islands_max)
    return Snapshot(streams, blocks, identities.reshape(-1, kernels.IDENTITY_WORDS).copy(), *limits)


def _add_up(counts: Words, islands_count: int) -> bool:
    """Whether each stream has an island, and all of them so many; their sum may not wrap."""
    return bool(
        (counts > 0).all()
        and (counts <= islands_count).all()
        and sum(counts.tolist()) == islands_count
    )


def _gather(streams: Words, blocks: Words) -> tuple[Words, Words]:
    """How many islands each stream has, and all of them, lowest first."""
    packed = streams[:, kernels.ISLANDS]
    many = packed != 0
    counts = np.where(many, packed & kernels.COUNT_MASK, np.uint64(1))
    islands = np.empty((int(counts.sum()), 2), np.uint64)
    in_block = np.repeat(many, counts.astype(np.int64))
    islands[~in_block] = streams[~many][:, [kernels.LOW, kernels.HIGH]]
    which = (packed[many] >> kernels.BLOCK_SHIFT).astype(np.int64) - 1
    used = np.arange(blocks.shape[1]) < counts[many].astype(np.int64)[:, None]
    islands[in_block] = blocks[which][used]
    return counts, islands


def _spread(
    streams: Words, counts: npt.NDArray[np.int64], islands: Words, islands_max: int
) -> Words:
    """The inverse of `_gather`: fill in LOW, HIGH and ISLANDS, return the blocks, all in use."""
    ends = np.cumsum(counts)
    from_top = np.repeat(ends, counts) - np.arange(len(islands))
    islands = islands[from_top <= islands_max]
    counts = np.minimum(counts, islands_max)
    many = counts > 1
    in_block = np.repeat(many, counts)
    singles = islands[~in_block]
    streams[~many, kernels.LOW], streams[~many, kernels.HIGH] = singles[:, 0], singles[:, 1]
    blocks = np.zeros((int(many.sum()), islands_max, 2), np.uint64)
    blocks[np.arange(islands_max) < counts[many][:, None]] = islands[in_block]
    numbers = np.arange(1, len(blocks) + 1, dtype=np.uint64)
    streams[many, kernels.ISLANDS] = numbers << kernels.BLOCK_SHIFT | counts[many].astype(np.uint64)
    return blocks
