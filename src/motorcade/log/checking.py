"""A segment's bytes, judged on their own: what they hold and what is wrong with them. No file."""

from typing import NamedTuple

import numpy as np

from motorcade.events import Bytes
from motorcade.log.errors import LogCorruptError
from motorcade.log.segment import (
    Positions,
    SegmentHead,
    read_foot,
    read_head,
    read_trailer,
    unpack_positions,
)
from motorcade.log.survey import Survey


class SegmentCheck(NamedTuple):
    head: SegmentHead | None
    records: int
    positions: Positions | None  # the next ones, for the successor's head to begin with
    problems: list[str]


class _Memory:
    """One file in memory, whatever its number."""

    def __init__(self, data: Bytes) -> None:
        self._data = data

    def size(self, fd: int) -> int:
        return len(self._data)

    def read(self, fd: int, target: memoryview, offset: int) -> int:
        part = self._data[offset : offset + len(target)].data
        target[: len(part)] = part
        return len(part)


def check_segment(data: Bytes, number: int, end: int | None) -> SegmentCheck:
    """Check every frame of segment `number`.

    `data` is the whole file, from an address that is a multiple of 8. `end` is where its frames
    end if no foot tells: the successor's `previous_end`, or the lane's watermark. `None` when that
    is lost as well.
    """
    memory = _Memory(data)
    found = read_head(memory, 0)
    if found is None:
        return SegmentCheck(None, 0, None, ["the head cannot be read"])
    head, start = found
    problems: list[str] = []
    if head.number != number:
        problems.append(f"its head says that it is segment {head.number}")
    trailer = read_trailer(memory, 0)
    if trailer is not None:
        end = trailer.end
        if read_foot(memory, 0, trailer) is None:
            problems.append("the foot cannot be read")
    if end is not None and end > len(data):
        problems.append(f"its frames should reach byte {end}, but it has {len(data)}")
        end = len(data)
    try:
        opened = unpack_positions(head.positions, head.partitions)
    except LogCorruptError as error:
        return SegmentCheck(None, 0, None, [*problems, str(error)])
    survey = Survey(data[:end], number, start, durable=end or 0, positions=opened)
    problems += [f"damaged from byte {first} to {last}" for first, last in survey.damage]
    if survey.records_lost:
        problems.append(f"{survey.records_lost} records are missing")
    records = survey.foot(b"")[1].records
    return SegmentCheck(head, records, survey.positions, problems)


def goes_on(before: SegmentCheck, after: SegmentCheck) -> bool:
    """Whether `after` begins with the positions that `before` leaves off with."""
    if before.positions is None or after.head is None:
        return True  # Something is damaged, and was named already.
    begun = unpack_positions(after.head.positions, after.head.partitions)
    return bool(np.array_equal(before.positions, begun))
