"""The access log's file: apart from the registry's, bounded, mended, read beside its writer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.accesses.port import HOUR_US, Accesses
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.port import Vehicle

FILE_NAME = "accesses.sqlite"
START_US = 500_000 * HOUR_US
CONFIG = RegistryConfig(access_log_s=10 * 3_600, accesses_per_vehicle_max=4, busy_s_max=0.2)
VINS = ("5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002")


class World:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "registry.sqlite"
        self.file = directory / FILE_NAME
        self.clock = SimulatedClock(START_US)
        self.registry = self.open()
        self.cars: list[Vehicle] = [new.vehicle for new in self.registry.add_vehicles(VINS)]

    def open(self) -> EmbeddedRegistry:
        return EmbeddedRegistry(self.path, account_key=bytes(32), clock=self.clock, config=CONFIG)

    def write(self, car: int = 0, kind: str = "vehicle_data", hours_ago: int = 0) -> None:
        last_us = self.clock.now_us() - hours_ago * HOUR_US
        row = Accesses(self.cars[car].token, "app", "owner", kind, 1, last_us)
        self.registry.access_log.write([row])

    def times(self, car: int = 0) -> list[int]:
        return [row.times for row in self.registry.access_log.accesses(self.cars[car].id, 100)]

    def stored(self) -> int:
        with closing(sqlite3.connect(self.file)) as connection:
            count: int = connection.execute("SELECT count(*) FROM accesses").fetchone()[0]
        return count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.registry.close()


def test_a_write_leaves_the_registry_s_file_alone(world: World) -> None:
    before, version = world.path.read_bytes(), "PRAGMA data_version"
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        seen = other.execute(version).fetchone()
        other.execute("BEGIN IMMEDIATE")  # another process changes the registry
        world.write()
        world.write()
        other.execute("ROLLBACK")
        assert other.execute(version).fetchone() == seen
    assert world.path.read_bytes() == before
    assert world.times() == [2]
    assert world.file.stat().st_mode & 0o777 == 0o600
    assert VINS[0].encode() not in world.file.read_bytes()


def test_another_process_reads_beside_the_writer_and_changes_nothing(world: World) -> None:
    world.write()
    other = world.open()
    with closing(sqlite3.connect(world.file, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        assert [row.times for row in other.access_log.accesses(world.cars[0].id, 9)] == [1]
    other.close()
    world.write()
    world.registry.close()
    before = world.file.read_bytes()
    world.registry = world.open()
    assert world.times() == [2]
    assert world.file.read_bytes() == before


def test_what_waits_in_the_wal_of_a_dead_writer_is_read(world: World, tmp_path: Path) -> None:
    world.write()
    (tmp_path / "left").mkdir()
    for name in ("registry.sqlite", FILE_NAME, FILE_NAME + "-wal"):
        (tmp_path / "left" / name).write_bytes((tmp_path / name).read_bytes())
    world.path, world.file = tmp_path / "left" / "registry.sqlite", tmp_path / "left" / FILE_NAME
    world.registry.close()
    world.registry = world.open()
    assert world.times() == [1]
    world.write()
    assert world.times() == [2]


def test_without_rows_no_file_is_made(world: World) -> None:
    assert world.times() == []
    world.registry.access_log.write([])
    assert not world.file.exists()


def test_what_is_old_is_not_shown_and_forgotten_within_the_hour(world: World) -> None:
    world.write(hours_ago=9)
    world.write(hours_ago=11)
    assert (world.times(), world.stored()) == ([1], 1)
    world.clock.advance(2 * 3_600)
    assert (world.times(), world.stored()) == ([], 1)
    world.registry.access_log.write([])
    assert world.stored() == 0


def test_the_newest_rows_of_a_vehicle_are_kept(world: World) -> None:
    for hours_ago in range(8):
        world.write(hours_ago=hours_ago)
    world.write(car=1, hours_ago=7)
    world.clock.advance(3_600)
    world.registry.access_log.write([])
    assert (len(world.times()), len(world.times(car=1))) == (5, 1)


def test_a_removed_vehicle_s_rows_are_forgotten(world: World) -> None:
    world.write()
    world.write(car=1)
    other = world.open()
    other.remove_vehicle(VINS[0])
    other.close()
    world.clock.advance(3_600)
    world.registry.access_log.write([])
    assert (world.times(), world.times(car=1), world.stored()) == ([], [1], 1)


def test_a_purge_that_fails_keeps_what_was_written_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(hours_ago=9)
    world.clock.advance(2 * 3_600)

    def full(_writing: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(world.registry.access_log, "_purge", full)
        world.write()
    assert (world.times(), world.stored()) == ([1], 2)
    world.registry.access_log.write([])
    assert world.stored() == 1


def test_a_full_disk_adds_nothing_and_is_told(world: World) -> None:
    world.write()
    writing = world.registry.access_log._writing
    assert writing is not None
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RegistryUnavailableError, match="full"):
        world.write(kind="x" * 100_000)
    writing.execute("PRAGMA max_page_count = 1000")
    world.write()
    assert world.times() == [2]


@pytest.mark.parametrize("damage", [b"x" * 4_096, b"SQLite format 3\0" + b"x" * 4_080])
def test_a_damaged_file_is_put_aside(world: World, damage: bytes) -> None:
    world.write()
    world.registry.close()
    world.file.write_bytes(damage)
    world.registry = world.open()
    with pytest.raises(RegistryUnavailableError, match="damaged"):
        world.times()
    world.write()
    assert world.times() == [1]
    assert world.file.with_name(FILE_NAME + ".damaged").read_bytes() == damage


def test_a_flipped_value_is_seen(world: World) -> None:
    world.write(kind="vehicle_data")
    world.registry.close()
    world.file.write_bytes(world.file.read_bytes().replace(b"vehicle_data", b"vehicle_dat4"))
    world.registry = world.open()
    world.write(car=1)
    assert (world.times(), world.times(car=1)) == ([], [1])


def test_damage_met_while_writing_costs_what_the_file_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write()
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def fail(_rows: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr("motorcade.registry.beside.transaction", fail)
        with pytest.raises(RegistryUnavailableError, match="malformed"):
            world.write()
    world.write()
    assert world.times() == [1]
    assert world.file.with_name(FILE_NAME + ".damaged").exists()
