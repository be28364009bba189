"""The SQLite engine: what the contract suite cannot see from outside."""

import contextlib
import sqlite3
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import RegistryUnavailableError

PER_PROCESS = 25


def open_registry(path: Path, *, busy_s_max: float = 5.0) -> EmbeddedRegistry:
    return EmbeddedRegistry(
        path,
        account_key=bytes(32),
        clock=SimulatedClock(0),
        config=RegistryConfig(busy_s_max=busy_s_max),
    )


def vin_of(number: int) -> str:
    return f"5YJ3E1EA7KF{number:06}"


def add_some(path: Path, first: int) -> None:
    registry = open_registry(path)
    for number in range(first, first + PER_PROCESS):
        registry.add_vehicles([vin_of(number)])
    registry.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "registry.sqlite"
    registry = open_registry(path)
    registry.add_vehicles([vin_of(1)])
    registry.close()
    files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert files == {"registry.sqlite": 0o600, "registry.sqlite.sum": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_no_password_is_stored(tmp_path: Path) -> None:
    registry = open_registry(tmp_path / "registry.sqlite")
    (new,) = registry.add_vehicles([vin_of(1)])
    password = registry.add_operator("ops")
    registry.close()
    stored = (tmp_path / "registry.sqlite").read_bytes()
    assert new.vehicle.token.encode() in stored
    assert new.password.encode() not in stored
    assert password.encode() not in stored


def test_two_processes_and_a_reader_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    reader = open_registry(path)
    context = get_context("spawn")
    processes = [context.Process(target=add_some, args=(path, n * PER_PROCESS)) for n in (0, 1)]
    for process in processes:
        process.start()
    seen = [reader.vehicle_count()]
    while any(process.is_alive() for process in processes):
        seen.append(reader.vehicle_count())
        assert reader.changes() >= seen[-1]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert seen == sorted(seen)
    vehicles = reader.vehicles(0, 100)
    assert {vehicle.vin for vehicle in vehicles} == {vin_of(n) for n in range(2 * PER_PROCESS)}
    assert len({vehicle.token for vehicle in vehicles}) == 2 * PER_PROCESS
    assert len({vehicle.key_id for vehicle in vehicles}) == 2 * PER_PROCESS
    assert reader.changes() == 2 * PER_PROCESS
    reader.close()


def test_a_killed_writer_leaves_what_it_was_told_and_nothing_torn(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=add_and_tell, args=(path, sender))
    process.start()
    told = [receiver.recv() for _ in range(20)]
    process.kill()
    process.join()
    sender.close()
    with contextlib.suppress(EOFError):
        while True:
            told.append(receiver.recv())
    registry = open_registry(path)
    assert told == [vehicle.vin for vehicle in registry.vehicles(0, len(told))]
    assert registry.vehicle_count() - len(told) in (0, 1)  # one may be added and not told
    registry.add_vehicles([vin_of(999_999)])
    registry.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def add_and_tell(path: Path, sender: Connection) -> None:
    registry = open_registry(path)
    for number in range(100_000):
        registry.add_vehicles([vin_of(number)])
        sender.send(vin_of(number))


def test_threads_share_one_registry(tmp_path: Path) -> None:
    registry = open_registry(tmp_path / "registry.sqlite")
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 10):
                registry.add_vehicles([vin_of(number)])
                assert registry.vehicle_by_vin(vin_of(number)) is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert registry.vehicle_count() == 40
    registry.close()


def test_a_lock_that_is_held_too_long_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = open_registry(path, busy_s_max=0.01)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RegistryUnavailableError, match="locked"):
        registry.vehicle_count()
    with pytest.raises(RegistryUnavailableError, match="locked"):
        registry.add_vehicles([vin_of(1)])
    holder.execute("ROLLBACK")
    holder.close()
    registry.add_vehicles([vin_of(1)])
    assert registry.vehicle_count() == 1
    registry.close()


def test_readers_are_not_held_up_by_an_open_transaction(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = open_registry(path, busy_s_max=0.01)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE changes SET value = value + 1")
    assert registry.changes() == 0
    writer.execute("COMMIT")
    writer.close()
    assert registry.changes() == 1
    registry.close()


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(RegistryUnavailableError, match=r"registry\.sqlite"):
        open_registry(path)


def test_a_removed_vehicle_leaves_its_row_and_key_for_erasure(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = open_registry(path)
    (new,) = registry.add_vehicles([vin_of(1)])
    registry.remove_vehicle(vin_of(1))
    registry.close()
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT length(data_key) FROM keys JOIN vehicles USING (key_id) WHERE token = ?",
            (new.vehicle.token,),
        ).fetchall()
        pragmas = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert found == [(32,)]
    assert pragmas == ("delete",)
