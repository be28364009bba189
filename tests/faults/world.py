"""What a scenario runs on: a faulty machine, the log lines that were written, the clock."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch

import structlog

from motorcade import at_rest, durable
from motorcade.clock import SimulatedClock
from motorcade.commands import ledger
from motorcade.gateway.mqtt import store
from motorcade.log import files
from motorcade.registry import embedded
from motorcade.vehicle import disk
from tests.faults.faulty_os import FaultyOs
from tests.faults.plan import Call, Fault, Stopped
from tests.faults.sqlite_engine import SqliteEngine

MODULES: Final[tuple[ModuleType, ...]] = (files, disk, embedded, at_rest, durable)
"""All that touches the disk below the log, the snapshots, cursors, the car's journal and buffer;
SQLite's files and their sums, and the directories of all."""

SQLITE: Final[tuple[ModuleType, ...]] = (embedded, ledger, store)
"""Those whose SQLite can be put on our disk."""

START_US: Final = 1_760_000_000_000_000


class World:
    """One run's surroundings."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        self.machine = FaultyOs(root, seed)
        self.clock = SimulatedClock(START_US)
        self.sqlite = SqliteEngine(self.machine)
        self.said: list[dict[str, Any]] = []  # structured log events, in order

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The product's disk is ours, and so is what it logs."""
        before = structlog.get_config()
        structlog.configure(processors=[self._note], cache_logger_on_first_use=False)
        try:
            with ExitStack() as stack:
                stack.enter_context(self.machine.under(*MODULES))
                for module in SQLITE:
                    stack.enter_context(patch.object(module, "sqlite3", self.sqlite))
                stack.enter_context(patch.object(threading, "excepthook", _in_thread))
                yield
        finally:
            structlog.configure(**before)

    @property
    def calls(self) -> list[Call]:
        return self.machine.plan.calls

    @property
    def stopped(self) -> bool:
        return self.machine.plan.stopped

    def arm(self, fault: Fault | None = None, at: int = -1) -> None:
        self.said.clear()
        self.machine.arm(fault, at)

    def mend(self) -> None:
        self.machine.plan.mend()

    def restart(self, fault: Fault | None = None) -> None:
        self.sqlite.end_process()
        self.machine.restart(fault)

    def close(self) -> None:
        self.restart()

    def end_sqlite_process(self) -> None:
        """The process ends, the machine and its other files go on."""
        if not self.stopped:
            self.sqlite.end_process()
            self.machine.plan.stopped = False

    def use_real_sqlite(self) -> None:
        """From now on the interpreter's: what it does is seen by `settle`."""
        self.sqlite.enabled = False

    def settle(self) -> None:
        """All that is there now is durable."""
        self.machine.shadow.settle()

    def check_named(self, error: Exception) -> None:
        """Whoever reads the message must know which file or directory it is about."""
        assert str(self.root) in str(error), f"no file named: {error}"

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """The disk's errors may come, and then they name a file."""
        try:
            yield
        except OSError as error:
            self.check_named(error)

    def heard(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind."""
        return [line for line in self.said if line["event"] == event]

    def _note(self, _logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
        self.said.append({**event, "level": method})
        raise structlog.DropEvent


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    """A thread that all stopped in ends without a word; another error is shown."""
    if not issubclass(failed.exc_type, Stopped):
        threading.__excepthook__(failed)
