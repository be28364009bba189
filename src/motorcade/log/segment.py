"""A segment file: a head, frames, and once it is sealed, a foot. Reading and writing those two.

::

    head      block: who writes here, and the positions that its first frame starts from
    frames    back to back, see `frame.py`
    foot      block: the positions after its last frame, and what was lost if anything was
    trailer   fixed size, the last bytes of the file: enough for retention and for reading by time

A segment is sealed by its foot, or, when the disk failed and no foot could be written, by its
successor's head, which says where it ends (`previous_end`). What lies beyond that end is not ours.
"""

from pathlib import Path
from struct import Struct
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash
from msgspec import Meta

from motorcade.log.errors import LogCorruptError
from motorcade.log.files import FileLayer, Part, Readable, read_bytes
from motorcade.log.frame import padded

Positions = npt.NDArray[np.int64]  # shape (TOPIC_ROWS, partitions): the next position of each

PARTITIONS_MAX: Final = 1 << 16  # a record's partition has two bytes
TOPIC_ROWS: Final = 64  # topic numbers are below this; a topic is a bit in 64
VERSION: Final = 1
SEGMENT_SUFFIX: Final = ".segment"
_HEAD_MAGIC: Final = 0x4D43_4845
_FOOT_MAGIC: Final = 0x4D43_464F
_BLOCK: Final = Struct("<IIQQ")  # magic, version, checksum of the body, body bytes
_BLOCK_BYTES_MAX: Final = 1 << 24  # a length beyond this is damage, not a size to allocate
# magic, version, segment, end of the frames, records, least and greatest received time µs, checksum
_TRAILER: Final = Struct("<IIQQQqqQ")

_TopicRow = Annotated[int, Meta(ge=0, lt=TOPIC_ROWS)]
_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class SegmentHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment starts from."""

    writer: str
    lane: str
    number: int
    partitions: Annotated[int, Meta(ge=1, le=PARTITIONS_MAX)]
    created_time_us: int
    previous_end: int  # where the previous segment's frames end; 0 for the first segment
    positions: list[tuple[_TopicRow, _Count, _Count]]  # topic, partition, next position
    input_cursor: bytes  # of the last frame that had one


class SegmentFoot(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed segment leaves off with."""

    number: int
    positions: list[tuple[_TopicRow, _Count, _Count]]
    input_cursor: bytes
    damage: list[tuple[int, int]]  # extents, in file offsets, that recovery found to be damaged


class Trailer(NamedTuple):
    number: int
    end: int  # where the frames end and the foot begins
    records: int
    time_us_min: int
    time_us_max: int


_Body = TypeVar("_Body", SegmentHead, SegmentFoot)


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:012d}{SEGMENT_SUFFIX}"


def segment_numbers(files: FileLayer, directory: Path) -> list[int]:
    """The segments in the directory, oldest first."""
    names = files.names(directory)
    return sorted(
        int(name[: -len(SEGMENT_SUFFIX)]) for name in names if name.endswith(SEGMENT_SUFFIX)
    )


def pack_positions(table: Positions) -> list[tuple[int, int, int]]:
    topics, partitions = np.nonzero(table)
    values = table[topics, partitions]
    return list(zip(topics.tolist(), partitions.tolist(), values.tolist(), strict=True))


def unpack_positions(entries: list[tuple[int, int, int]], partitions: int) -> Positions:
    """The table that `pack_positions` packed.

    Raises:
        LogCorruptError: it was packed for more partitions.
    """
    if any(partition >= partitions for _, partition, _ in entries):
        raise LogCorruptError(f"positions beyond {partitions} partitions: restore the file")
    table = np.zeros((TOPIC_ROWS, partitions), np.int64)
    for topic, partition, value in entries:
        table[topic, partition] = value
    return table


def pack_head(head: SegmentHead) -> bytes:
    """The head as bytes; the first frame starts right after them."""
    return _pack_block(_HEAD_MAGIC, head)


def read_head(files: Readable, fd: int) -> tuple[SegmentHead, int] | None:
    """The head and where it ends, or `None` when there is no whole head (a torn creation)."""
    return _read_block(files, fd, 0, _HEAD_MAGIC, SegmentHead)


def pack_foot(foot: SegmentFoot, trailer: Trailer) -> list[Part]:
    """Foot and trailer, to be written at `trailer.end` as the last bytes of the file."""
    number, end, records, low, high = trailer
    fixed = (_FOOT_MAGIC, VERSION, number, end, records, low, high)
    checksum = xxhash.xxh3_64_intdigest(_TRAILER.pack(*fixed, 0))
    return [_pack_block(_FOOT_MAGIC, foot), _TRAILER.pack(*fixed, checksum)]


def seal(files: FileLayer, fd: int, foot: SegmentFoot, trailer: Trailer) -> None:
    """Cut the file at the end of its frames and put the foot there, durably."""
    files.truncate(fd, trailer.end)
    files.write(fd, pack_foot(foot, trailer), trailer.end)
    files.sync(fd)


def read_trailer(files: Readable, fd: int) -> Trailer | None:
    """The trailer, or `None` when the segment was not sealed by a foot."""
    offset = files.size(fd) - _TRAILER.size
    if offset < 0:
        return None
    data = read_bytes(files, fd, offset, _TRAILER.size)
    if len(data) < _TRAILER.size:
        return None
    *fixed, checksum = _TRAILER.unpack(data.data)
    if fixed[:2] != [_FOOT_MAGIC, VERSION]:
        return None
    if xxhash.xxh3_64_intdigest(_TRAILER.pack(*fixed, 0)) != checksum:
        return None
    return Trailer(*fixed[2:])


def read_foot(files: Readable, fd: int, trailer: Trailer) -> SegmentFoot | None:
    """The foot that `trailer` points at, or `None` when it is damaged."""
    found = _read_block(files, fd, trailer.end, _FOOT_MAGIC, SegmentFoot)
    return found[0] if found else None


def segment_end(files: FileLayer, directory: Path, number: int, fd: int) -> int | None:
    """Where the frames of a segment that has a successor end; `None`: the successor is gone too.

    Raises:
        LogCorruptError: neither its foot nor its successor's head can be read.
    """
    trailer = read_trailer(files, fd)
    if trailer is not None:
        return trailer.end
    path = segment_path(directory, number + 1)
    try:
        next_fd = files.open(path, create=False)
    except FileNotFoundError:
        return None
    try:
        head = read_head(files, next_fd)
    finally:
        files.close(next_fd)
    if head is None:
        raise LogCorruptError(
            f"{segment_path(directory, number)} has no foot and {path} no readable head, so nobody "
            "knows where its records end: restore both files from a copy"
        )
    return head[0].previous_end


def _pack_block(magic: int, body: Any) -> bytes:
    data = msgspec.msgpack.encode(body)
    head = _BLOCK.pack(magic, VERSION, xxhash.xxh3_64_intdigest(data), len(data))
    return head + data + bytes(padded(len(data)) - len(data))


def _read_block(
    files: Readable, fd: int, offset: int, magic: int, kind: type[_Body]
) -> tuple[_Body, int] | None:
    prefix = read_bytes(files, fd, offset, _BLOCK.size)
    if len(prefix) < _BLOCK.size:
        return None
    found, version, checksum, size = _BLOCK.unpack(prefix.data)
    if found != magic or version != VERSION or size > _BLOCK_BYTES_MAX:
        return None
    data = read_bytes(files, fd, offset + _BLOCK.size, size).data
    if len(data) < size or xxhash.xxh3_64_intdigest(data) != checksum:
        return None
    try:
        body = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # Sound, but no block of this version.
        return None
    return body, offset + _BLOCK.size + padded(size)
