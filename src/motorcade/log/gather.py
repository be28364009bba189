"""From checked frames to one batch: rows copied together, the bytes left where they lie."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.events import RECORD_DTYPE, RecordBatch
from motorcade.log.frame import Frame
from motorcade.log.kernels import ROW_WORDS, gather_rows

_NO_ROWS: Final = np.zeros(0, RECORD_DTYPE)


class Gathered(NamedTuple):
    """The batch, and of how many of the frames it is: the next one is none that we wrote."""

    batch: RecordBatch
    frames: int


def gather(data: npt.NDArray[np.uint8], frames: Sequence[Frame], topics: int) -> Gathered:
    """Return the rows of `topics` (a bit set) of the `frames`, with `data` as their buffer.

    Only rows are copied (88 bytes each), and their `start` moved; however small the commits were,
    the reader gets one batch. `data` begins on an 8-byte boundary and is shorter than 4 GiB. It
    ends before a frame of which such a row lies outside: a right checksum does not tell, and who
    reads the batch looks at no bounds.
    """
    records = sum(frame.records for frame in frames)
    places = np.array(
        [
            (frame.rows_start, frame.records, frame.buffer_start, frame.buffer_bytes)
            for frame in frames
        ],
        np.int64,
    ).reshape(len(frames), 4)
    out = np.empty(records * ROW_WORDS, np.uint64)
    words = data[: len(data) & ~7].view(np.uint64)
    count, used = gather_rows(data, words, places, np.uint64(topics), out)
    rows = np.frombuffer(out.data, RECORD_DTYPE, int(count)) if count else _NO_ROWS
    return Gathered(RecordBatch(rows, data), int(used))
