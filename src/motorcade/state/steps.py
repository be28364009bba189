"""How a batch is cut into what is applied at once, so that a reader sees whole records or none.

Each step is one hold of the gate: the values of its records, when they were received and their
version change together, so who reads beside the writer sees a vehicle as it was after some record.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.signals.samples import SampleBatch

STEP_ROWS: Final = 8_192  # per hold of the gate: about 0.2 ms
STEP_SAMPLES: Final = 4_096


class Rows(NamedTuple):
    """The rows that samples come from, as columns of equal length."""

    slots: npt.NDArray[np.int32]
    received_us: npt.NDArray[np.int64]
    is_telemetry: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]  # after so many samples

    @staticmethod
    def of_nobody(samples: SampleBatch) -> "Rows":
        """Samples that tell nothing of when their vehicles were heard."""
        count = len(samples)
        ends, never = np.arange(1, count + 1), np.zeros(count, np.int64)
        return Rows(samples.vehicle, never, np.zeros(count, np.bool_), ends)


class Step(NamedTuple):
    """Rows `first` to `last` of a batch, and their samples `begin` to `end`."""

    first: int
    last: int
    begin: int
    end: int


def steps(rows: Rows, turns: Sequence[int]) -> Iterator[Step]:
    """Cut a batch into steps, in order.

    turns: samples, ascending, after whose row a step ends, because what follows costs time.
    A step has at most `STEP_ROWS` rows and `STEP_SAMPLES` samples. A row of more samples than that
    is cut, and a reader may see a part of it: it must not hold up others.
    """
    ends = rows.ends
    stops = np.unique(np.searchsorted(ends, np.asarray(turns, np.int64), "left")) + 1
    first = begin = 0
    while first < len(ends):
        fitting = int(np.searchsorted(ends, begin + STEP_SAMPLES, "right"))
        last = min(max(fitting, first + 1), first + STEP_ROWS, len(ends))
        place = int(np.searchsorted(stops, first, "right"))
        if place < len(stops):
            last = min(last, int(stops[place]))
        end = int(ends[last - 1])
        while end - begin > STEP_SAMPLES:
            yield Step(first, last, begin, begin + STEP_SAMPLES)
            begin += STEP_SAMPLES
        yield Step(first, last, begin, end)
        first, begin = last, end
