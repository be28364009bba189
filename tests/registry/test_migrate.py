"""Migrations: from nothing to the tables of this version, whoever opens first."""

import sqlite3
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry import migrate
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.tables import METADATA


def open_registry(path: Path) -> EmbeddedRegistry:
    return EmbeddedRegistry(
        path, account_key=bytes(32), clock=SimulatedClock(0), config=RegistryConfig()
    )


def test_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.REVISIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_the_migrations_make_the_tables_that_the_code_sees(tmp_path: Path) -> None:
    open_registry(tmp_path / "registry.sqlite").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert migrate.stored_version(connection) == migrate.HEAD
    engine.dispose()


def test_opening_again_migrates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registry.sqlite"
    open_registry(path).close()

    def fail(_: object) -> None:
        raise AssertionError("migrated twice")

    monkeypatch.setattr(migrate, "upgrade", fail)
    open_registry(path).close()


def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    open_registry(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RegistryUnavailableError, match="newer version"):
        open_registry(path)
    assert path.read_bytes() == before


def test_processes_that_open_a_new_file_together_agree(tmp_path: Path) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=_open_and_add, args=(tmp_path, n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    registry = open_registry(tmp_path / "registry.sqlite")
    assert registry.vehicle_count() == 4
    registry.close()


def _open_and_add(directory: Path, number: int) -> None:
    registry = open_registry(directory / "registry.sqlite")
    registry.add_vehicles([f"5YJ3E1EA7KF{number:06}"])
    registry.close()


def test_a_configuration_from_before_its_app_was_kept_is_no_apps(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    config = Config()
    config.set_main_option("script_location", str(migrate.REVISIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "r0007")
        row = "(1, 3, 'a.b.c', '{}', 'key', 5, 6, 'refused')"
        connection.execute(text(f"INSERT INTO telemetry_configs VALUES {row}"))
    engine.dispose()
    open_registry(path).close()
    with sqlite3.connect(path) as stored:
        (row,) = stored.execute("SELECT token, issuer, refusal, client_id FROM telemetry_configs")
    stored.close()
    assert row == ("a.b.c", "key", "refused", "")  # the car still streams by it
