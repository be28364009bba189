"""Look-ups are remembered while the file stands, and never longer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from motorcade.registry.reads import REMEMBERED_MAX, ROWS_MAX, ChangeCounter, Reads

SELECT = "SELECT value FROM things WHERE name = ?"


class Watched:
    """A file, its reads and what SQLite was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self.connect()) as made:
            made.execute("CREATE TABLE things (name TEXT, value INTEGER)")
            made.execute("INSERT INTO things VALUES ('one', 1)")
        self.counter = ChangeCounter(path)
        self.reading = self.connect()
        self.asked: list[str] = []
        self.reading.set_trace_callback(self.asked.append)
        self.reads = Reads(self.reading, self.counter.read)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=DELETE")
        return connection

    def value(self, name: str = "one") -> int:
        rows = self.reads.rows(SELECT, (name,))
        return int(rows[0][0]) if rows else 0

    def selects(self) -> int:
        return sum("SELECT" in text for text in self.asked)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "things.sqlite")
    yield made
    made.reading.close()
    made.counter.close()


def test_what_stands_is_not_asked_again(watched: Watched) -> None:
    assert [watched.value() for _ in range(3)] == [1, 1, 1]
    assert watched.selects() == 1
    assert watched.value("two") == 0
    assert watched.value("two") == 0  # that nothing was found is remembered, too
    assert watched.selects() == 2


def test_a_commit_of_another_connection_is_seen_at_once(watched: Watched) -> None:
    with closing(watched.connect()) as other:
        for value in range(2, 50):
            other.execute("UPDATE things SET value = ?", (value,))
            assert watched.value() == value
            assert watched.value() == value
    assert watched.selects() == 48


def test_what_is_not_committed_is_not_seen(watched: Watched) -> None:
    assert watched.value() == 1
    with closing(watched.connect()) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE things SET value = 2")
        assert watched.value() == 1
        other.execute("ROLLBACK")
        assert watched.value() == 1
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE things SET value = 3")
        other.execute("COMMIT")
        assert watched.value() == 3


def test_a_look_up_holds_no_lock(watched: Watched) -> None:
    watched.value()
    with closing(watched.connect()) as other:
        other.execute("PRAGMA busy_timeout=0")
        other.execute("UPDATE things SET value = 2")
    assert watched.value() == 2


def test_an_error_holds_no_lock(watched: Watched) -> None:
    with pytest.raises(sqlite3.OperationalError):
        watched.reads.rows("SELECT nothing FROM nowhere", ())
    with pytest.raises(UnicodeEncodeError):
        watched.reads.rows(SELECT, ("\ud800",))
    assert watched.value() == 1


def test_a_commit_that_was_undone_is_not_taken_for_the_next(watched: Watched) -> None:
    # Another process raised the counter to 9 and died before its commit: the reader's SQLite rolls
    # it back. The commit that then comes has 9 again, and other rows.
    told = iter([b"9", b"8", b"9", b"9"])
    reads = Reads(watched.reading, lambda: next(told))
    assert reads.rows(SELECT, ("one",)) == [(1,)]
    with closing(watched.connect()) as other:
        other.execute("UPDATE things SET value = 2")
    assert reads.rows(SELECT, ("one",)) == [(2,)]


def test_what_is_remembered_is_bounded(watched: Watched) -> None:
    for number in range(REMEMBERED_MAX + 10):
        watched.value(str(number))
    assert len(watched.reads._told) <= REMEMBERED_MAX
    with closing(watched.connect()) as other:
        rows = [(str(number), number) for number in range(ROWS_MAX + 1)]
        other.executemany("INSERT INTO things VALUES (?, ?)", rows)
    before = watched.selects()
    for _ in range(3):
        assert len(watched.reads.rows("SELECT * FROM things", ())) == ROWS_MAX + 2
    assert watched.selects() == before + 3


def test_an_answer_is_the_callers_own(watched: Watched) -> None:
    for _ in range(3):  # read, remembered, and remembered still
        rows = watched.reads.rows(SELECT, ("one",))
        assert rows == [(1,)]
        rows.clear()


def test_an_empty_file_remembers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    counter = ChangeCounter(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        reads = Reads(connection, counter.read)
        assert reads.rows("SELECT count(*) FROM sqlite_master", ()) == [(0,)]
        connection.execute("CREATE TABLE things (name TEXT)")
        assert reads.rows("SELECT count(*) FROM sqlite_master", ()) == [(1,)]
    counter.close()
    counter.close()
