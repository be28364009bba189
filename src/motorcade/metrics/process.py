"""What every process knows of itself from the system, and the supervisor of its children."""

import os
import resource
from pathlib import Path
from typing import Final

from motorcade.metrics.figures import Figure
from motorcade.metrics.report import Report
from motorcade.supervisor import Supervisor

_PAGE_BYTES: Final = resource.getpagesize()


def process_figures(process: str) -> list[Figure]:
    """CPU, memory and open files of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    values = {
        "cpu_seconds_total": usage.ru_utime + usage.ru_stime,
        "resident_memory_bytes": resident,
        "open_fds": len(os.listdir("/proc/self/fd")),
        "max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    return [Figure(f"motorcade_process_{name}", value, [process]) for name, value in values.items()]


def supervisor_report(supervisor: Supervisor) -> Report:
    """The supervisor and what it has done to its children."""
    figures = process_figures("supervisor")
    for name, (restarts, uptime_s) in supervisor.children_counts().items():
        figures.append(Figure("motorcade_process_restarts_total", restarts, [name]))
        figures.append(Figure("motorcade_process_uptime_seconds", uptime_s, [name]))
    return Report("supervisor", os.getpid(), figures)
