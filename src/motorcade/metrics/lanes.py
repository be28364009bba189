"""Figures and checks of the lanes that a process writes, and of the log's files on disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from motorcade.config import HealthConfig, LogConfig
from motorcade.log.lanes import split_lane_name
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from motorcade.metrics.figures import Figure, Spread, spread
from motorcade.metrics.report import Check

_SEGMENT: Final = ".segment"


def lane_figures(name: str, writer: EmbeddedWriter, now_s: float) -> list[Figure]:
    """What `writer` of lane directory `name` has done. `now_s` is monotonic."""
    counts = writer.counts
    begun_s = counts.begun_s
    values: dict[str, float | Spread] = {
        "commits_total": sum(counts.records.counts),
        "commit_failures_total": counts.failures,
        "records_total": counts.records.total,
        "written_bytes_total": counts.bytes.total,
        "commit_duration_seconds": spread(counts.duration_s),
        "commit_size_records": spread(counts.records),
        "commit_size_bytes": spread(counts.bytes),
        "commit_age_seconds": now_s - begun_s if begun_s else 0.0,
        "writable": int(not counts.fault and not writer.ended),
        "durable_lag_bytes": writer.queued_bytes,
        "retired_segments_total": counts.retired,
    }
    return [Figure(f"motorcade_log_{word}", value, [name]) for word, value in values.items()]


def lane_checks(
    lanes: Sequence[tuple[str, EmbeddedWriter]], now_s: float, limits: HealthConfig
) -> list[Check]:
    """Whether each lane takes commits."""
    return [Check(f"log {name}", not why, why) for name, why in _faults(lanes, now_s, limits)]


def _faults(
    lanes: Sequence[tuple[str, EmbeddedWriter]], now_s: float, limits: HealthConfig
) -> list[tuple[str, str]]:
    found = []
    for name, writer in lanes:
        begun_s, why = writer.counts.begun_s, writer.counts.fault
        if writer.ended:
            why = "its writer has ended: start the process again"
        elif why:
            why = f"cannot commit: {why}"
        elif begun_s and now_s - begun_s > limits.commit_s_max:
            why = f"a commit has taken {now_s - begun_s:.0f} s: the disk is stuck or overloaded"
        found.append((name, why))
    return found


def disk_figures(directory: Path, config: LogConfig) -> list[Figure]:
    """Segment files of every lane, whoever writes them. Blocks: a look at each file."""
    figures = []
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        parts = split_lane_name(entry.name)
        if parts is None:
            continue
        sizes = _sizes(Path(entry.path))
        bulk = parts[1] is Lane.BULK
        kept = config.retention_bulk_bytes if bulk else config.retention_fast_bytes
        figures += [
            Figure("motorcade_log_segments", len(sizes), [entry.name]),
            Figure("motorcade_log_size_bytes", sum(sizes), [entry.name]),
            Figure("motorcade_log_retention_bytes", kept, [entry.name]),
        ]
    disk = os.statvfs(directory)
    return [*figures, Figure("motorcade_log_disk_free_bytes", disk.f_bavail * disk.f_frsize)]


def _sizes(lane: Path) -> list[int]:
    sizes = []
    for entry in os.scandir(lane):
        if entry.name.endswith(_SEGMENT):
            try:
                sizes.append(entry.stat().st_size)
            except FileNotFoundError:  # retention was faster
                continue
    return sizes
