"""What a check is told and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from motorcade.config import Config


class Level(Enum):
    """How bad it is."""

    FAULT = "fault"  # something does not work, or will not at the next start
    WARNING = "warning"  # it works, not for long or not well


class Finding(NamedTuple):
    """One broken link, and what mends it."""

    level: Level
    what: str  # a sentence that names the fault
    mend: str  # a command, or what a person must do


def fault(what: str, mend: str) -> Finding:
    return Finding(Level.FAULT, what, mend)


def warning(what: str, mend: str) -> Finding:
    return Finding(Level.WARNING, what, mend)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the checks look at."""

    data: Path  # absolute
    config: Config
    now_us: int
    vehicle_file: Path | None
    whole_log: bool  # read all of it, not the newest part only
    ready: dict[str, Any] | None  # the ready file, of a server that runs or of one that was killed
    pid: int  # of the supervisor; 0: none runs

    @property
    def runs(self) -> bool:
        return self.pid != 0


Check = Callable[[Scene], Iterator[Finding]]


class StopError(Exception):
    """Nothing behind this link can be looked at."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding
