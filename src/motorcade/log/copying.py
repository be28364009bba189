"""What a copy of the log must hold: every lane up to its watermark, writer alive or not.

Bytes before the watermark never change, so they are copied without asking the writer for anything.
Segments are given from the newest back: retention removes the oldest first, so a copy that stops at
the first segment that is gone has no hole. All that is copied before the cut is made, cursors above
all, points before it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from motorcade.log.errors import LogError
from motorcade.log.files import FileLayer
from motorcade.log.lanes import recover_if_unused, split_lane_name
from motorcade.log.segment import read_head, segment_numbers, segment_path
from motorcade.log.watermark import PAGE_BYTES, Mark, Watermark, mark_words


class SegmentCut(NamedTuple):
    path: Path
    bytes_max: int | None  # copy so many; None: all of it, it is sealed and never changes again


class LaneCut(NamedTuple):
    """A lane as it is durable now."""

    name: str  # its directory
    mark: Mark
    segments: list[SegmentCut]  # newest first
    problem: str  # "" = none; else why its last words may be missing from the copy

    @property
    def page(self) -> bytes:
        """The copy's `watermark.py` page: tells a torn tail from damage when the copy is opened."""
        page = np.zeros(PAGE_BYTES // 8, np.uint64)
        page[0], page[1] = mark_words(self.mark)
        return page.tobytes()


def lane_names(files: FileLayer, directory: Path) -> list[str]:
    """The directories of the log in `directory` that are lanes."""
    return sorted(name for name in files.names(directory) if split_lane_name(name))


def cut_lane(files: FileLayer, directory: Path, name: str) -> LaneCut:
    """The lane `name` as it is durable now. Where no writer lives it is recovered first."""
    lane = directory / name
    problem = ""
    try:
        recover_if_unused(files, lane, _partitions(files, lane))
    except LogError as error:  # A damaged log is copied all the same, as far as it goes.
        problem = str(error)
    mark = Watermark(files, lane).read()
    numbers = [n for n in segment_numbers(files, lane) if n <= mark.segment]
    segments = [
        SegmentCut(segment_path(lane, number), mark.offset if number == mark.segment else None)
        for number in reversed(numbers)
    ]
    return LaneCut(name, mark, segments, problem)


def _partitions(files: FileLayer, lane: Path) -> int:
    """What the lane was written with: the copy must not depend on a setting."""
    for number in reversed(segment_numbers(files, lane)):
        fd = files.open(segment_path(lane, number), create=False)
        try:
            head = read_head(files, fd)
        finally:
            files.close(fd)
        if head is not None:
            return head[0].partitions
    return 1  # Nothing was written.
