"""The audit's file: in order, bounded by age and by kind, shared, told by names of then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.audit.port import Deed, DeedsAsked, DeedShown, What
from motorcade.registry.embedded import EmbeddedRegistry

HOUR_S = 3_600
CONFIG = RegistryConfig(
    audit_s=10 * HOUR_S, audit_rows_max=3, password_passes=1, password_memory_kib=64
)
VIN = "5YJ3E1EA7KF000001"


class World:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "registry.sqlite"
        self.clock = SimulatedClock(1_750_000_000_000_000)
        self.registry = self.open()
        self.car = self.registry.add_vehicles([VIN])[0].vehicle
        self.registry.people.add_person("ann@a.example", "Ann", subject="ann")

    def open(self) -> EmbeddedRegistry:
        return EmbeddedRegistry(self.path, account_key=bytes(32), clock=self.clock, config=CONFIG)

    def write(self, text: str, what: What = What.COMMENTED, subject: str = "ann") -> None:
        deed = Deed(self.clock.now_us(), subject, "app", what, "done", self.car.token, text)
        self.registry.audit.write([deed])

    def shown(self) -> list[DeedShown]:
        return self.registry.audit.deeds(DeedsAsked())

    def texts(self) -> list[str]:
        return [deed.text for deed in self.shown()]

    def later(self, hours: int) -> None:
        self.clock.advance(hours * HOUR_S)
        self.registry.audit.write([])

    def stored(self) -> int:
        with closing(sqlite3.connect(self.path.with_name("audit.sqlite"))) as connection:
            count: int = connection.execute("SELECT count(*) FROM deeds").fetchone()[0]
        return count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.registry.close()


def test_a_deed_is_told_with_the_name_of_then(world: World) -> None:
    world.write("a")
    world.registry.people.remove_person("ann")
    world.registry.people.add_person("eve@a.example", "Eve", subject="ann")
    world.write("b")
    world.write("c", subject="nobody")
    assert [(deed.text, deed.name) for deed in world.shown()] == [
        ("c", ""),
        ("b", "Eve"),
        ("a", "Ann"),
    ]
    assert {deed.vehicle_id for deed in world.shown()} == {world.car.id}


def test_it_lasts_and_another_process_reads_it(world: World) -> None:
    assert world.shown() == []
    world.write("a")
    other = world.open()
    world.write("b")
    assert [deed.text for deed in other.audit.deeds(DeedsAsked())] == ["b", "a"]
    other.close()
    world.registry.close()
    world.registry = world.open()
    world.write("c")
    assert world.texts() == ["c", "b", "a"]
    assert VIN.encode() not in world.path.with_name("audit.sqlite").read_bytes()


def test_what_is_old_is_not_told_and_forgotten_within_the_hour(world: World) -> None:
    world.write("a")
    world.clock.advance(9 * HOUR_S)
    world.write("b")
    world.clock.advance(2 * HOUR_S)
    assert (world.texts(), world.stored()) == (["b"], 2)
    world.later(0)
    assert world.stored() == 1


def test_a_flood_of_one_kind_pushes_out_none_of_another(world: World) -> None:
    world.write("a role", What.CHANGED_ROLE)
    for number in range(9):
        world.write(f"{number}", What.SENT_COMMAND)
    world.later(1)
    assert world.texts() == ["8", "7", "6", "a role"]


def test_a_power_cut_costs_nothing_that_was_written(world: World) -> None:
    world.write("a")
    writing = world.registry.audit._writing
    assert writing is not None
    assert writing.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: each commit is synced
