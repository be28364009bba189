"""Sessions on disk: what was written is there again, in the order of the calls."""

import sqlite3
from pathlib import Path

import pytest

from motorcade.gateway.mqtt.store import (
    FILE_NAME,
    SessionStoreError,
    SqliteSessionStore,
    StoredSession,
    StoredSubscription,
)

SESSION = StoredSession("k", 60, 5, b"cursor", (StoredSubscription("v/#", 1, True, False),))


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteSessionStore(tmp_path)
    assert (store.load(), store.load_live_cursor()) == ([], b"")
    store.put(StoredSession("gone", 1, 0, b""))
    store.put(SESSION)
    store.remove("gone")
    assert store.load_quiet_since_us() is None
    store.put_quiet_since_us(5)
    store.put_live_cursor(b"here").result(10)
    store.close()
    again = SqliteSessionStore(tmp_path)
    assert (again.load(), again.load_live_cursor()) == ([SESSION], b"here")
    assert again.load_quiet_since_us() == 5
    again.put_quiet_since_us(None).result(10)
    assert again.load_quiet_since_us() is None
    again.close()


def test_a_future_resolves_when_the_row_is_committed(tmp_path: Path) -> None:
    store = SqliteSessionStore(tmp_path)
    store.put(SESSION).result(10)
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        assert other.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    store.close()


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    store = SqliteSessionStore(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("DROP TABLE sessions")
    with pytest.raises(SessionStoreError, match="sessions"):
        store.put(SESSION).result(10)
    store.close()


def test_damage_and_newer_versions_are_named(tmp_path: Path) -> None:
    SqliteSessionStore(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(SessionStoreError, match="version 9"):
        SqliteSessionStore(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(SessionStoreError, match="remove it"):
        SqliteSessionStore(tmp_path)
