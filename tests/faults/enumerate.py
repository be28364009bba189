"""Every fault at every call of a scenario, one run each, and the promises checked after each.

A scenario is three steps: `prepare`, without faults; `act`, in which one fault happens; `check`,
after a restart and without faults again. `act` handles the errors that the product promises to
raise, as its caller in the product would; anything else that comes out of it is a finding.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from tests.faults.plan import POWER, STOPS, Call, Fault, Stopped
from tests.faults.world import World


class Scenario(Protocol):
    """One run: made anew for each pair."""

    name: str

    def prepare(self) -> None:
        """Bring about what the faults will meet."""

    def act(self) -> None:
        """What is done while a fault happens. Errors that callers are told to expect are caught."""

    def go_on(self) -> None:
        """The process lived through it and the disk works again: it must go on by itself."""

    def check(self) -> None:
        """After a restart: all that was promised."""


Make = Callable[[World], Scenario]


@dataclass
class Tally:
    """What a scenario's runs came to."""

    name: str
    calls: list[Call] = field(default_factory=list)
    pairs: Counter[Fault] = field(default_factory=Counter)
    kinds: set[tuple[Fault, str]] = field(default_factory=set)  # without the call's place in time
    failures: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return sum(self.pairs.values())


@contextmanager
def fast_directory() -> Iterator[Path]:
    """A directory in memory where there is one: nothing here needs a real disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


def enumerate_faults(
    make: Make, root: Path, *, only: frozenset[Fault] | None = None, stride: int = 1
) -> Tally:
    """Run a scenario with each fault at each of its calls. Nothing is raised: see `failures`.

    With a `stride`, one pair in so many, so that each fault and each call still has its turn.
    """
    world = _fresh(root)
    scenario = make(world)
    tally = Tally(scenario.name, _record(world, scenario))
    for at, fault in islice(_pairs(tally.calls), 0, None, stride):
        if only is not None and fault not in only:
            continue
        tally.pairs[fault] += 1
        tally.kinds.add((fault, str(tally.calls[at])))
        world = _fresh(root, seed=at)
        try:
            _run(world, make(world), fault, at)
        except Exception as error:
            where = f"{tally.name}: {fault.value} in call {at}, {tally.calls[at]}"
            tally.failures.append(f"{where}: {type(error).__name__}: {error}")
        finally:
            world.close()
    return tally


def _pairs(calls: list[Call]) -> Iterator[tuple[int, Fault]]:
    for at, call in enumerate(calls):
        yield from ((at, fault) for fault in Fault if call.can(fault))


def _record(world: World, scenario: Scenario) -> list[Call]:
    """The calls without a fault; and the promises hold then, too."""
    with world.installed():
        scenario.prepare()
        world.arm()
        scenario.act()
        calls = list(world.calls)
        scenario.go_on()
        world.restart(Fault.POWER_LOST)
        scenario.check()
    world.close()
    return calls


def _run(world: World, scenario: Scenario, fault: Fault, at: int) -> None:
    with world.installed():
        scenario.prepare()
        world.arm(fault, at)
        try:
            scenario.act()
        except Stopped:
            assert fault in STOPS | POWER
        else:
            assert len(world.calls) > at, "the fault was never reached: calls differ between runs"
            if fault not in POWER:
                world.mend()
                scenario.go_on()
        # What lives on must be durable: what was unsynced is dropped in the end, whatever happened.
        world.restart(fault if fault in STOPS | POWER else Fault.POWER_LOST)
        scenario.check()
        world.restart(Fault.POWER_LOST)
        scenario.check()


def _fresh(root: Path, seed: int = 0) -> World:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return World(root, seed)
