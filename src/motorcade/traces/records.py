"""Sampled records: at the gateway's commit, and when live state has taken them."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.clock import Clock
from motorcade.events import RecordBatch
from motorcade.log.errors import LogError
from motorcade.log.port import LogSlice
from motorcade.traces.spans import Span, record_attributes, record_trace

SPANS_PER_BATCH_MAX: Final = 16  # of one commit or slice, however many are sampled

EndSpan = Callable[[Span], None]


def sampled(batch: RecordBatch, every: int) -> npt.NDArray[np.int64]:
    """Which rows are traced: by position, so the same in every process."""
    found = np.flatnonzero(batch.rows["position"] % every == 0)
    return found[:SPANS_PER_BATCH_MAX]


def trace_of(writer: str, batch: RecordBatch, index: int) -> int:
    row = batch.rows[index]
    return record_trace(writer, int(row["topic"]), int(row["partition"]), int(row["position"]))


class CommitTracer:
    """A `gateway.intake.Door` that takes no records: it hears of each commit."""

    def __init__(self, writer: str, every: int, clock: Clock, end: EndSpan) -> None:
        self._writer, self._every, self._clock, self._end = writer, every, clock, end

    def committed(self, index: int, batch: RecordBatch) -> None:
        now_us = self._clock.now_us()
        for row in sampled(batch, self._every).tolist():
            received_us = int(batch.rows["received_time_us"][row])
            trace_id = trace_of(self._writer, batch, row)
            self._end(Span(trace_id, "door and commit", received_us, now_us))

    def failed(self, index: int, error: LogError) -> None:
        """Nothing of it is in the log, so it has no place, and no trace."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class StateTracer:
    """Hears of each slice that live state has taken; makes the trace's root, for it ends there."""

    def __init__(self, every: int, clock: Clock, end: EndSpan) -> None:
        self._every, self._clock, self._end = every, clock, end

    def __call__(self, part: LogSlice, begun_us: int) -> None:
        now_us = self._clock.now_us()
        for row in sampled(part.batch, self._every).tolist():
            received_us = int(part.batch.rows["received_time_us"][row])
            trace_id = trace_of(part.writer, part.batch, row)
            attributes = record_attributes(part.writer, part.batch, row)
            name = f"record {attributes['motorcade.topic']}"
            self._end(
                Span(trace_id, name, received_us, now_us, is_root=True, attributes=attributes)
            )
            self._end(Span(trace_id, "follower and state", begun_us, now_us))
