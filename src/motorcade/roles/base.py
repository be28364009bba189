"""What every role starts from, and how it settles once it has loaded what it runs."""

import gc
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from motorcade import compiled
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.log.embedded import EmbeddedLog
from motorcade.supervisor import ChildLink, StopEvents

if TYPE_CHECKING:  # the reader needs neither
    from motorcade.identity.authority import Authority
    from motorcade.registry.embedded import EmbeddedRegistry

GC_THRESHOLD: Final = 50_000  # allocations between collections: the hot road makes no cycles
SWITCH_S: Final = 0.0002  # a thread that decodes telemetry gives way to a waiting command (P6)


@dataclass(frozen=True, slots=True)
class Base:
    """What every role starts from."""

    link: ChildLink
    config: Config
    data: Path
    clock: SystemClock
    log: EmbeddedLog


@dataclass(frozen=True, slots=True)
class Parts(Base):
    """... and those that deal with people and vehicles."""

    authority: "Authority"
    registry: "EmbeddedRegistry"


Role = Callable[[Parts, StopEvents], Coroutine[Any, Any, None]]


def settle() -> None:
    """Once a role has imported everything it runs: warm its kernels, let the collector rest."""
    compiled.warm_imported()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_S)
