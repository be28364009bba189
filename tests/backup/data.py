"""A small data directory, made without a platform: a log of several segments, databases, keys."""

import sqlite3
from contextlib import closing
from pathlib import Path

from motorcade.backup.make import Earlier, Made, make_backup
from motorcade.backup.places import finished, new_target
from motorcade.clock import SimulatedClock
from motorcade.config import LogConfig
from motorcade.log.appender import Appender
from motorcade.log.files import OsFiles
from motorcade.log.lanes import LaneLock
from tests.log.lanes import START_US, LaneOnDisk, batch, group

LANES = ("gateway-bulk", "gateway-fast", "api-fast")
RECORDS = 40  # per commit
CONFIG = LogConfig(partitions=4, segment_frames_max=3, segment_allocate_bytes=2_048)


class DataDirectory:
    """Open for writing, like a running platform's; `close` makes it a stopped one's."""

    def __init__(self, path: Path, commits: int = 8) -> None:
        self.path = path
        self.files = OsFiles()
        self._lanes = [LaneOnDisk(self.files, path / "log" / name, CONFIG) for name in LANES]
        self.appenders: list[Appender] = [lane.open() for lane in self._lanes]
        self._locks: list[LaneLock] = [lane.lock for lane in self._lanes]
        self.records = 0
        for _ in range(commits):
            self.commit()
        database(path / "registry.sqlite", "vehicles", 3)
        database(path / "mqtt" / "sessions.sqlite", "sessions", 2, wal=True)
        database(path / "commands" / "ledger.sqlite", "commands", 1, wal=True)
        secrets = path / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "root.pem").write_text("a private key\n")
        (secrets / "root.pem").chmod(0o600)
        (path / "state").mkdir(mode=0o700)
        (path / "state" / "000000000001.snapshot").write_bytes(b"a snapshot")

    def commit(self) -> None:
        """One more frame in every lane."""
        for appender in self.appenders:
            appender.commit(group(batch(self.records, RECORDS)))
        self.records += RECORDS

    def segments(self, lane: str = LANES[0]) -> list[Path]:
        return sorted((self.path / "log" / lane).glob("*.segment"))

    def backup(self, out: Path, since: Earlier | None = None) -> Made:
        return backup(self.path, out, since)

    def close(self) -> None:
        for appender, lock in zip(self.appenders, self._locks, strict=True):
            appender.close()
            lock.close()


def backup(data: Path, out: Path, since: Earlier | None = None) -> Made:
    with finished(new_target(out)) as target:
        return make_backup(
            data, target, OsFiles(), SimulatedClock(START_US), room=out.parent, since=since
        )


def database(path: Path, table: str, rows: int, *, wal: bool = False) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"CREATE TABLE {table} (value)")
        connection.executemany(f"INSERT INTO {table} VALUES (?)", [(n,) for n in range(rows)])
