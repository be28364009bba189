"""The meters' ledger on a disk that is full: nothing ends, and it goes on when there is room."""

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import RecordBatch
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane
from motorcade.meters import follower as follower_module
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.meters.follower import MetersFollower
from motorcade.meters.port import METERS, Point
from motorcade.meters.readings import News
from tests.meters.test_embedded import SITE, meters, record
from tests.meters.test_sessions import ALL, session
from tests.vehicle.site.running import until

DISK_BYTES = 8 << 20
OLD_ROWS = 20_000  # a purge of so many needs room for the pages that it changes


@pytest.fixture
def disk() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="full-disk-"))
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)]
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        directory.rmdir()
        pytest.skip("no right to mount a small file system here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


class World:
    """A follower whose purge is always due; the log is on another disk."""

    def __init__(self, ledger: EmbeddedMeters, log: Path) -> None:
        config = Config()
        self.ledger, self.failed = ledger, list[Exception]()
        self.log = EmbeddedLog(log, config.log, SystemClock())
        self.writer = self.log.writer("gateway", Lane.BULK)
        self.follower = MetersFollower(
            replace(config.energy, ledger_commit_s=0.01),
            self.log,
            ledger,
            SystemClock(),
            failed=self.failed.append,
        )

    def write(self, seconds: float, value: int) -> None:
        self.writer.append(RecordBatch.of([record(seconds, **meters(value))])).result(10)

    def shows(self, value: int) -> bool:
        return any(one.joules[0] == value for one in self.ledger.around(SITE, [1 << 60]))

    def rows(self) -> int:
        return len(self.ledger.around(SITE, [0]))

    def close(self) -> None:
        self.follower.stop()
        self.writer.close()
        self.log.close()


@pytest.fixture
def purging(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each purge that was tried."""
    monkeypatch.setattr(follower_module, "PURGE_S", 0.0)
    tried: list[int] = []
    purge = EmbeddedMeters.purge

    def noted(self: EmbeddedMeters, before_us: int) -> None:
        tried.append(before_us)
        purge(self, before_us)

    monkeypatch.setattr(EmbeddedMeters, "purge", noted)
    return tried


def test_a_purge_waits_for_room(disk: Path, tmp_path: Path, purging: list[int]) -> None:
    ledger = EmbeddedMeters(disk / "meters" / "ledger.sqlite")
    old = News()
    for slot in range(OLD_ROWS):
        old.points[SITE, slot] = Point(slot, (1,) * len(METERS))
    ledger.apply(old, b"")
    ledger._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger._writing.execute("DELETE FROM cursors")
    with (disk / "filler").open("wb") as filler:
        left = os.statvfs(disk)
        os.posix_fallocate(filler.fileno(), 0, (left.f_bavail - 8) * left.f_frsize)
    world = World(ledger, tmp_path / "log")
    try:
        world.follower.start()
        until(lambda: len(purging) > 2 or bool(world.failed), 10)
        assert not world.failed
        assert world.rows(), "a purge that finds no room changes nothing"
        (disk / "filler").unlink()
        world.write(0, 30)
        until(lambda: world.shows(30) and len(ledger.around(SITE, [0])) == 1, 20)
    finally:
        world.close()
        ledger.close()
    assert not world.failed


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While something is in it, every write of the follower finds the disk full: which did."""
    tried = ["begin"]

    def fails(name: str) -> Any:
        write = getattr(EmbeddedMeters, name)

        def tries(*asked: Any) -> None:
            if not tried:
                write(*asked)
                return
            tried.append(name)
            error: Any = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        return tries

    for name in ("apply", "put_sessions"):
        monkeypatch.setattr(EmbeddedMeters, name, fails(name))
    return tried


def test_what_comes_while_the_disk_is_full_stays_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: list[str]
) -> None:
    monkeypatch.setattr(follower_module, "POLL_S", 0.01)
    ledger = EmbeddedMeters(tmp_path / "meters" / "ledger.sqlite")
    world = World(ledger, tmp_path / "log")
    try:
        world.follower.start()
        world.write(0, 30)
        until(lambda: "apply" in full or bool(world.failed), 10)
        kept = dict(world.follower._news.points)
        for number in range(1, 11):
            world.write(number * 300, 30 + number)
        tried = full.count("apply")
        until(lambda: full.count("apply") > tried + 10 or bool(world.failed), 10)
        assert world.follower._news.points == kept
        full.clear()
        until(lambda: world.shows(40) or bool(world.failed), 10)
    finally:
        full.clear()
        world.close()
        ledger.close()
    assert not world.failed


def test_sessions_that_wait_for_room_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: list[str]
) -> None:
    monkeypatch.setattr(follower_module, "SESSIONS_WAITING_MAX", 3)
    ledger = EmbeddedMeters(tmp_path / "meters" / "ledger.sqlite")
    world = World(ledger, tmp_path / "log")
    told = [session(number * 10, number * 10 + 5) for number in range(10)]
    for one in told:
        world.follower.take_session(one)
    try:
        world.follower.start()
        until(lambda: full.count("put_sessions") > 1 or bool(world.failed), 10)
        full.clear()
        until(lambda: bool(ledger.sessions(ALL)[1]) or bool(world.failed), 10)
        assert ledger.sessions(ALL)[0] == told[:-4:-1]
    finally:
        full.clear()
        world.close()
        ledger.close()
    assert not world.failed


def test_any_purge_that_finds_the_disk_full_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where nobody may mount a disk."""
    monkeypatch.setattr(follower_module, "PURGE_S", 0.0)
    tried: list[int] = []

    def full(_self: EmbeddedMeters, before_us: int) -> None:
        tried.append(before_us)
        error: Any = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(EmbeddedMeters, "purge", full)
    ledger = EmbeddedMeters(tmp_path / "meters" / "ledger.sqlite")
    world = World(ledger, tmp_path / "log")
    try:
        world.follower.start()
        world.write(0, 30)
        until(lambda: bool(world.failed) or (len(tried) > 2 and world.shows(30)), 10)
    finally:
        world.close()
        ledger.close()
    assert not world.failed
