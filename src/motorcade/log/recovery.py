"""Opening a lane: find what is durable in its last segment, cut the torn tail, seal the segment.

Afterwards every segment is sealed and the watermark stands at the end, so a writer starts a new
segment and a reader needs no writer. Doing it twice changes nothing, and a crash in between is
mended by doing it again.

Only the last segment can lack a foot without its successor saying where it ends, so only it is
scanned, whatever the size of the log. A torn tail, which nobody was told is durable, is cut and
reported. Damage to what was durable stays where it is: the foot names the extent, the log says what
is lost, and readers raise `LogCorruptError` when they come to it. `survey.py` tells them apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from motorcade.log.errors import LogCorruptError, LogError, disk_errors
from motorcade.log.files import FileLayer, read_bytes
from motorcade.log.frame import find_frame
from motorcade.log.segment import (
    TOPIC_ROWS,
    Positions,
    SegmentHead,
    pack_positions,
    read_foot,
    read_head,
    read_trailer,
    seal,
    segment_numbers,
    segment_path,
    unpack_positions,
)
from motorcade.log.survey import Survey
from motorcade.log.watermark import Mark, Watermark

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


def recover(files: FileLayer, directory: Path, partitions: int) -> Opening:
    """Seal the lane and say where to go on. The caller holds the lane's lock.

    Raises:
        LogCorruptError: a head that was durable cannot be read, and no other file tells it.
        LogDiskError: the disk failed; doing it again goes on where this ended.
        LogError: the directory was written with another number of partitions.
    """
    with disk_errors(directory):
        return _recover(files, directory, partitions)


def _recover(files: FileLayer, directory: Path, partitions: int) -> Opening:
    watermark = Watermark(files, directory)
    number = _last_segment(files, directory, watermark.read())
    if number == 0:
        return Opening(1, 0, np.zeros((TOPIC_ROWS, partitions), np.int64), b"", None)
    path = segment_path(directory, number)
    with disk_errors(path):
        opening = _opening(files, path, partitions, watermark)
    watermark.publish(Mark(opening.segment - 1, opening.previous_end))
    return opening


def _opening(files: FileLayer, path: Path, partitions: int, watermark: Watermark) -> Opening:
    fd = files.open(path, create=False)
    try:
        head = read_head(files, fd)
        if head is None:
            return _without_head(files, fd, path, partitions, watermark)
        if head[0].partitions != partitions:
            raise LogError(
                f"{path.parent} was written with log.partitions={head[0].partitions} and cannot go "
                f"on with {partitions}: set it back, the number is fixed at the first start"
            )
        return _sealed(files, fd, partitions) or _seal(files, fd, path, head, watermark)
    finally:
        files.close(fd)


def _last_segment(files: FileLayer, directory: Path, mark: Mark) -> int:
    """The last segment, 0 if there is none; one whose creation a crash tore is removed."""
    numbers = segment_numbers(files, directory)
    while numbers:
        path = segment_path(directory, numbers[-1])
        fd = files.open(path, create=False)
        try:
            kept = read_head(files, fd) is not None or mark.segment >= numbers[-1]
            kept = kept or _first_frame(files, fd, numbers[-1]) is not None
        finally:
            files.close(fd)
        if kept:
            break
        files.unlink(path)  # No frame can be in it: a head is durable before the first frame.
        files.sync_directory(directory)
        logger.warning("log_segment_creation_torn", path=str(path))
        numbers.pop()
    return numbers[-1] if numbers else 0


def _first_frame(files: FileLayer, fd: int, number: int) -> int | None:
    return find_frame(read_bytes(files, fd, 0, files.size(fd)), number, 0)


def _without_head(
    files: FileLayer, fd: int, path: Path, partitions: int, watermark: Watermark
) -> Opening:
    """The head was durable and is damaged now: the foot tells what we need, or the one before."""
    logger.error(
        "log_segment_head_damaged",
        path=str(path),
        hint="readers stop there with LogCorruptError; restore the file or skip the damage",
    )
    opening = _sealed(files, fd, partitions)
    if opening is not None:
        return opening
    number = int(path.stem)
    before = _opening_before(files, path.parent, number, partitions)
    first = _first_frame(files, fd, number)
    if before is None or first is None:
        raise LogCorruptError(f"{path}: head and foot cannot be read; restore it from a copy")
    head = SegmentHead(
        writer="",
        lane="",
        number=number,
        partitions=partitions,
        created_time_us=0,
        previous_end=before.previous_end,
        positions=pack_positions(before.positions),
        input_cursor=before.input_cursor,
    )
    return _seal(files, fd, path, (head, first), watermark)


def _opening_before(
    files: FileLayer, directory: Path, number: int, partitions: int
) -> Opening | None:
    """Where segment `number` started from, by the foot of the one before it."""
    if number == 1:
        return Opening(1, 0, np.zeros((TOPIC_ROWS, partitions), np.int64), b"", None)
    try:
        fd = files.open(segment_path(directory, number - 1), create=False)
    except FileNotFoundError:
        return None
    try:
        return _sealed(files, fd, partitions)
    finally:
        files.close(fd)


def _sealed(files: FileLayer, fd: int, partitions: int) -> Opening | None:
    """What the foot says; `None` when there is no whole foot."""
    trailer = read_trailer(files, fd)
    foot = read_foot(files, fd, trailer) if trailer else None
    if trailer is None or foot is None:
        return None
    positions = unpack_positions(foot.positions, partitions)
    return Opening(trailer.number + 1, trailer.end, positions, foot.input_cursor, None)


def _seal(
    files: FileLayer, fd: int, path: Path, head: tuple[SegmentHead, int], watermark: Watermark
) -> Opening:
    """Survey the segment, make sure that what it holds is on disk, cut the rest, write the foot."""
    number = head[0].number
    mark = watermark.read()
    durable = mark.offset if mark.segment == number else 0
    opened = unpack_positions(head[0].positions, head[0].partitions)
    data = read_bytes(files, fd, 0, files.size(fd))
    survey = Survey(data, number, head[1], durable=durable, positions=opened)
    recovered = _report(path, survey)
    # Bytes past the watermark may be in the page cache alone: the writer may have died before its
    # sync, or because of it. Writing them again makes the kernel bring them to the disk.
    first = min(durable, survey.end)
    files.write_synced(fd, [data[first : survey.end].data], first)
    files.sync_directory(path.parent)
    foot, trailer = survey.foot(head[0].input_cursor)
    seal(files, fd, foot, trailer)
    return Opening(number + 1, survey.end, survey.positions, foot.input_cursor, recovered)


def _report(path: Path, survey: Survey) -> Recovered | None:
    if survey.damage:
        logger.error(
            "log_segment_damaged",
            path=str(path),
            damage=survey.damage,
            records_lost=survey.records_lost,
            hint="readers stop there with LogCorruptError; restore the file or skip the damage",
        )
    if survey.bytes_torn:
        logger.warning("log_torn_tail_cut", path=str(path), bytes_cut=survey.bytes_torn)
    if not survey.damage and not survey.bytes_torn:
        return None
    damage = tuple(survey.damage)
    return Recovered(survey.number, survey.bytes_torn, damage, survey.records_lost)
