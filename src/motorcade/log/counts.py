"""What a lane's writer counts: per commit, never per record."""

from dataclasses import dataclass, field

from motorcade.counts import DURATIONS_S, RECORDS, SIZES_BYTES, Histogram


@dataclass(slots=True)
class LaneCounts:
    """One writer and lane since it was opened. Written by its thread, read by any."""

    duration_s: Histogram = field(default_factory=lambda: Histogram(DURATIONS_S))
    records: Histogram = field(default_factory=lambda: Histogram(RECORDS))
    bytes: Histogram = field(default_factory=lambda: Histogram(SIZES_BYTES))
    failures: int = 0
    retired: int = 0  # segments that retention deleted
    begun_s: float = 0.0  # monotonic, of the commit under way; 0: none is
    fault: str = ""  # why the last commit failed, until the disk takes writes again

    def committed(self, duration_s: float, records: int, nbytes: int) -> None:
        self.duration_s.observe(duration_s)
        self.records.observe(records)
        self.bytes.observe(nbytes)
        self.fault = ""
        self.begun_s = 0.0

    def failed(self, error: Exception) -> None:
        self.failures += 1
        self.fault = str(error)
        self.begun_s = 0.0
