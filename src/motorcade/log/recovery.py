"""Opening a lane: find what is durable in its last segment, cut the torn tail, seal the segment.

Afterwards every segment is sealed and the watermark stands at the end, so a writer starts a new
segment and a reader needs no writer. Doing it twice changes nothing, and a crash in between is
mended by doing it again.

Only the last segment can lack a foot without its successor saying where it ends, so only it is
scanned, whatever the size of the log. A writer has one frame on its way to the disk at most, so
a frame that is not whole is one of two things:

* the torn tail of an unfinished commit, when nothing valid follows and the watermark had not passed
  it: nobody was told that it is durable, it is cut;
* damage to bytes that were durable, otherwise: they stay where they are, the foot names the extent,
  the log says what is lost, and readers raise `LogCorruptError` when they come to it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from motorcade.events import Bytes
from motorcade.log.errors import LogCorruptError, LogError
from motorcade.log.files import FileLayer, read_bytes
from motorcade.log.frame import find_frame, scan_frames
from motorcade.log.gather import gather
from motorcade.log.segment import (
    TOPIC_ROWS,
    Positions,
    SegmentFoot,
    Trailer,
    pack_foot,
    pack_positions,
    read_foot,
    read_head,
    read_trailer,
    segment_numbers,
    segment_path,
    unpack_positions,
)
from motorcade.log.watermark import NOTHING, Mark, Watermark

_ALL_TOPICS: Final = (1 << TOPIC_ROWS) - 1
_TIME_MAX: Final = (1 << 63) - 1

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What opening found wrong with the last segment. `bytes_cut` was acknowledged to nobody."""

    segment: int
    bytes_cut: int = 0  # the torn tail
    damage: tuple[tuple[int, int], ...] = ()  # extents in file offsets
    records_lost: int = 0  # in the damage, as far as the positions around it tell


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a writer goes on."""

    segment: int  # the number of the next segment to create
    previous_end: int
    positions: Positions
    input_cursor: bytes
    recovered: Recovered | None


@dataclass(slots=True)
class _Found:
    """What a scan of the last segment adds up to."""

    positions: Positions
    input_cursor: bytes
    end: int
    records: int = 0
    time_us_min: int = _TIME_MAX
    time_us_max: int = -_TIME_MAX
    damage: list[tuple[int, int]] = field(default_factory=list)


def recover(files: FileLayer, directory: Path, partitions: int) -> Opening:
    """Seal the lane and say where to go on. The caller holds the lane's lock.

    Raises:
        LogCorruptError: a head or foot that was durable cannot be read.
        LogError: the directory was written with another number of partitions.
    """
    watermark = Watermark(files, directory)
    number = _last_segment(files, directory, watermark.read())
    if number == 0:
        return Opening(1, 0, np.zeros((TOPIC_ROWS, partitions), np.int64), b"", None)
    path = segment_path(directory, number)
    fd = files.open(path, create=False)
    try:
        head = read_head(files, fd)
        if head is None:
            raise LogCorruptError(f"{path}: the head cannot be read; restore it from a copy")
        if head[0].partitions != partitions:
            raise LogError(
                f"{directory} was written with log.partitions={head[0].partitions} and cannot go "
                f"on with {partitions}: set it back, the number is fixed at the first start"
            )
        opened = unpack_positions(head[0].positions, partitions)
        trailer = read_trailer(files, fd)
        if trailer is not None:
            opening = _after_foot(files, fd, path, trailer, partitions)
        else:
            found = _Found(opened.copy(), head[0].input_cursor, head[1])
            mark = watermark.read()
            durable = mark.offset if mark.segment == number else 0
            opening = _seal_torn(files, fd, path, number, found, durable, opened)
    finally:
        files.close(fd)
    watermark.publish(Mark(opening.segment - 1, opening.previous_end))
    return opening


def _last_segment(files: FileLayer, directory: Path, mark: Mark) -> int:
    """The last segment, 0 if there is none; one whose creation a crash tore is removed."""
    numbers = segment_numbers(files, directory)
    while numbers:
        path = segment_path(directory, numbers[-1])
        fd = files.open(path, create=False)
        try:
            whole = read_head(files, fd) is not None
        finally:
            files.close(fd)
        if whole or (mark != NOTHING and mark.segment >= numbers[-1]):
            break
        files.unlink(path)  # No frame can be in it: a head is durable before the first frame.
        files.sync_directory(directory)
        logger.warning("log_segment_creation_torn", path=str(path))
        numbers.pop()
    return numbers[-1] if numbers else 0


def _after_foot(
    files: FileLayer, fd: int, path: Path, trailer: Trailer, partitions: int
) -> Opening:
    foot = read_foot(files, fd, trailer)
    if foot is None:
        raise LogCorruptError(
            f"{path}: the foot at offset {trailer.end} is damaged, so the next positions are "
            "unknown; restore it from a copy, or cut the file at that offset to have it scanned"
        )
    positions = unpack_positions(foot.positions, partitions)
    return Opening(trailer.number + 1, trailer.end, positions, foot.input_cursor, None)


def _seal_torn(
    files: FileLayer,
    fd: int,
    path: Path,
    number: int,
    found: _Found,
    durable: int,
    opened: Positions,
) -> Opening:
    """Scan the segment, make sure that what it holds is on disk, cut the rest, write the foot."""
    data = read_bytes(files, fd, 0, files.size(fd))
    _scan(data, number, found, durable)
    lost = int(found.positions.sum() - opened.sum()) - found.records
    torn = int(np.count_nonzero(data[found.end :]))
    recovered = None
    if torn or found.damage:
        last = found.end + int(np.flatnonzero(data[found.end :])[-1]) + 1 if torn else found.end
        recovered = Recovered(number, last - found.end, tuple(found.damage), lost)
        _report(path, recovered)
    # Bytes past the watermark may be in the page cache alone: the writer may have died before its
    # sync, or because of it. Writing them again makes the kernel bring them to the disk.
    first = min(durable, found.end)
    files.write_synced(fd, [data[first : found.end].data], first)
    files.sync_directory(path.parent)
    trailer = Trailer(number, found.end, found.records, found.time_us_min, found.time_us_max)
    foot = SegmentFoot(
        number=number,
        positions=pack_positions(found.positions),
        input_cursor=found.input_cursor,
        damage=found.damage,
    )
    seal(files, fd, foot, trailer)
    return Opening(number + 1, found.end, found.positions, found.input_cursor, recovered)


def seal(files: FileLayer, fd: int, foot: SegmentFoot, trailer: Trailer) -> None:
    """Cut the file at the end of its frames and put the foot there, durably."""
    files.truncate(fd, trailer.end)
    files.write(fd, pack_foot(foot, trailer), trailer.end)
    files.sync(fd)


def _scan(data: Bytes, number: int, found: _Found, durable: int) -> None:
    """Walk the frames from `found.end` on; afterwards it is where the valid bytes end."""
    while True:
        scan = scan_frames(data[found.end :], number, found.end)
        if scan.frames:
            batch = gather(data[found.end :], scan.frames, _ALL_TOPICS)
            keys = (batch.rows["topic"], batch.rows["partition"])
            np.maximum.at(found.positions, keys, batch.rows["position"] + 1)
            found.records += len(batch)
            times = batch.rows["received_time_us"]
            found.time_us_min = min(found.time_us_min, int(times.min()))
            found.time_us_max = max(found.time_us_max, int(times.max()))
            for frame in reversed(scan.frames):
                if frame.cursor_bytes:
                    at = found.end + frame.cursor_start
                    found.input_cursor = data[at : at + frame.cursor_bytes].tobytes()
                    break
        found.end += scan.used
        if found.end >= len(data):
            return
        following = find_frame(data[found.end :], number, found.end)
        if following is not None:
            found.damage.append((found.end, found.end + following))
            found.end += following
        elif found.end < durable:
            found.damage.append((found.end, durable))
            found.end = durable
            return
        else:
            return


def _report(path: Path, recovered: Recovered) -> None:
    if recovered.damage:
        logger.error(
            "log_segment_damaged",
            path=str(path),
            damage=recovered.damage,
            records_lost=recovered.records_lost,
            hint="readers stop there with LogCorruptError; restore the file or skip the damage",
        )
    if recovered.bytes_cut:
        logger.warning("log_torn_tail_cut", path=str(path), bytes_cut=recovered.bytes_cut)
