"""Sums of SQLite files: damage is named, changes of others are not damage, a crash says nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from motorcade.at_rest import DamagedFileError, check, seal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.sqlite"
    write(path, "CREATE TABLE names (name TEXT)")
    write(path, "INSERT INTO names VALUES ('motorcade')")
    return path


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"motorcade", b"motorcadf"))


@pytest.mark.parametrize("alone", [True, False])
def test_a_flipped_value_is_named(path: Path, alone: bool) -> None:
    seal(path, alone=alone)
    check(path, alone=False)
    damage(path)
    with pytest.raises(
        DamagedFileError, match=r"file\.sqlite is damaged.*remove file\.sqlite\.sum"
    ):
        check(path, alone=alone)


def test_what_another_process_changed_is_no_damage(path: Path) -> None:
    seal(path, alone=False)
    write(path, "INSERT INTO names VALUES ('another')")
    check(path, alone=False)


def test_after_a_crash_there_is_no_sum(path: Path) -> None:
    seal(path, alone=True)
    check(path, alone=True)  # opened, and then it crashes
    damage(path)
    check(path, alone=True)


def test_a_damaged_sum_says_nothing(path: Path) -> None:
    seal(path, alone=False)
    sum_path = path.with_name("file.sqlite.sum")
    data = sum_path.read_bytes()
    for index in range(len(data)):
        sum_path.write_bytes(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
        check(path, alone=False)


def test_a_missing_file_has_no_sum(tmp_path: Path) -> None:
    check(tmp_path / "none", alone=False)
    seal(tmp_path / "none", alone=True)
    assert not list(tmp_path.iterdir())


def test_a_schema_that_is_no_text_is_named(path: Path) -> None:
    """SQLite quotes what it cannot parse, and Python cannot read the quotation."""
    seal(path, alone=False)
    data = path.read_bytes()
    place = data.index(b"TABLE names")
    path.write_bytes(data[:place] + b"\xf4" + data[place + 1 :])
    with pytest.raises(DamagedFileError, match=r"file\.sqlite is damaged: its schema is no text"):
        check(path, alone=False)
    seal(path, alone=False)  # nothing to write down, and no traceback
