"""The faults, the calls they can happen in, and the one that is planned for this run.

A scenario runs once without faults, and every call that it makes of the disk is written down. Then
it runs anew for each pair of a call and a fault that can happen in it.
"""

import errno
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final


class Stopped(BaseException):
    """The process or the machine ended in this call. No handler of the product may run on."""


class Fault(Enum):
    """What can happen in a call."""

    EIO = "EIO"
    ENOSPC = "ENOSPC"
    SHORT = "short count"  # fewer bytes than asked for, as a signal or a filling disk gives
    BROKEN = "EIO from here on"
    FULL = "ENOSPC from here on"  # a write that half fits comes back short first
    EIO_THEN_POWER = "EIO, then power loss"
    POWER_LOST = "power loss, unsynced dropped"
    POWER_TORN = "power loss, last write torn"
    POWER_KEPT = "power loss, unsynced kept"
    POWER_MIXED = "power loss, unsynced by chance"
    KILL = "kill -9"
    KILL_TORN = "kill -9, write torn"


POWER: Final = frozenset(
    {
        Fault.EIO_THEN_POWER,
        Fault.POWER_LOST,
        Fault.POWER_TORN,
        Fault.POWER_KEPT,
        Fault.POWER_MIXED,
    }
)
KILLS: Final = frozenset({Fault.KILL, Fault.KILL_TORN})
STOPS: Final = (POWER | KILLS) - {Fault.EIO_THEN_POWER}
LASTING: Final = frozenset({Fault.BROKEN, Fault.FULL})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the disk."""

    name: str  # of the system call, or of the VFS method
    target: str  # the kind of file, numbers left out
    changes: bool = False
    grows: bool = False  # may need space
    moves: bool = False  # bytes: it can come back short
    tears: bool = False  # a write: all or an error, but it can be torn

    def __str__(self) -> str:
        return f"{self.name} {self.target}"

    def can(self, fault: Fault) -> bool:
        """Whether the fault can happen in this call and means more than another one does."""
        if fault is Fault.EIO:
            return True
        if fault in (Fault.ENOSPC, Fault.FULL):
            return self.grows
        if fault is Fault.SHORT:
            return self.moves
        if fault is Fault.KILL_TORN:
            return self.tears or (self.changes and self.moves)
        return self.changes


@dataclass
class Plan:
    """Counts calls, and says what is to happen in each."""

    fault: Fault | None = None
    at: int = -1  # index of the call, from 0
    named: str = ""  # or else: the next call of this name
    calls: list[Call] = field(default_factory=list)
    stopped: bool = False
    _lasting: Fault | None = None
    _power_next: bool = False

    def enter(self, call: Call) -> Fault | None:
        """The fault that happens in this call. Raises `Stopped` once all has stopped."""
        if self.stopped:
            raise Stopped
        index = len(self.calls)
        self.calls.append(call)
        if self._power_next and call.changes:
            self.stopped = True
            raise Stopped
        if index == self.at or call.name == self.named:
            self.named = ""
            assert self.fault is not None
            if self.fault in LASTING:
                self._lasting = self.fault
            self._power_next = self.fault is Fault.EIO_THEN_POWER
            return self.fault
        if self._lasting is Fault.FULL and call.grows:
            return Fault.ENOSPC
        if self._lasting is Fault.BROKEN and call.changes:
            return Fault.EIO
        return None

    def mend(self) -> None:
        """What failed works again; faults to come are off."""
        self.at, self._lasting, self._power_next = -1, None, False

    def error(self, fault: Fault | None, path: Path | None = None) -> OSError | None:
        """What the call raises. Those that take a name say it, those of open files do not."""
        name = [] if path is None else [str(path)]
        if fault in (Fault.EIO, Fault.BROKEN, Fault.EIO_THEN_POWER):
            return OSError(errno.EIO, "injected: Input/output error", *name)
        if fault in (Fault.ENOSPC, Fault.FULL):
            return OSError(errno.ENOSPC, "injected: No space left on device", *name)
        return None

    def stop(self) -> None:
        self.stopped = True
        raise Stopped
