"""The reader's report: history."""

import os
from dataclasses import dataclass

from motorcade.clock import Clock
from motorcade.history.writer import HistoryWriter
from motorcade.metrics.figures import Figure
from motorcade.metrics.process import process_figures
from motorcade.metrics.report import Report


@dataclass(frozen=True, slots=True)
class ReaderReporter:
    """Call it for a report."""

    clock: Clock
    history: HistoryWriter

    def __call__(self) -> Report:
        return Report("reader", os.getpid(), process_figures("reader") + self._history())

    def _history(self) -> list[Figure]:
        history, rows = self.history, self.history.manifest.files
        values: dict[str, float] = {
            "lag_seconds": history.lag_s(),
            "poll_age_seconds": self.clock.monotonic_s() - history.polled_s,
            "waiting_samples": history.waiting_samples,
            "flushes_total": history.flushes,
            "flush_failures_total": history.flush_failures,
            "merges_total": history.merges,
            "merge_failures_total": history.merge_failures,
            "flush_age_seconds": history.flush_age_s,
            "files": len(rows),
            "rows": sum(row.rows for row in rows),
            "size_bytes": sum(row.bytes for row in rows),
        }
        reading = history.reading
        if reading is not None:
            values |= {
                "records_total": reading.records,
                "duplicates_total": reading.duplicates,
                "malformed_records_total": reading.counts.malformed_records,
                "gaps_total": reading.gaps,
            }
        return [Figure(f"motorcade_history_{name}", value) for name, value in values.items()]
