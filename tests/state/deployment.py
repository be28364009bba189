"""A log on disk with live state behind it, for tests of the follower."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from motorcade.clock import SystemClock
from motorcade.config import Config, LogConfig, StateConfig
from motorcade.events import Record, RecordBatch
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import Follower
from motorcade.state.snapshots import SnapshotStore
from motorcade.streams.dedup import Dedup
from tests.state.records import PARTITIONS

CONFIG = Config(log=LogConfig(partitions=PARTITIONS), state=StateConfig(signals_per_vehicle_max=20))


class Deployment:
    """A directory with log and snapshots; followers one after the other."""

    def __init__(self, directory: Path, **log_limits: int) -> None:
        self.directory = directory
        self.log = EmbeddedLog(directory / "log", replace(CONFIG.log, **log_limits), SystemClock())
        self.snapshots = SnapshotStore(directory / "state", OsFiles())
        self.failures: list[Exception] = []

    def open_writer(self) -> None:
        self.writer = self.log.writer("gateway", Lane.BULK)

    def append(self, *records: Record) -> None:
        self.writer.append(RecordBatch.of(records)).result(10)

    def follower(
        self, snapshot_s: float = 1e9, snapshot_records: int = 1 << 62, **more: Any
    ) -> tuple[Follower, EmbeddedLiveState]:
        state = EmbeddedLiveState(CONFIG)
        follower = Follower(
            self.log,
            state,
            lambda: Dedup(CONFIG.dedup),
            self.snapshots,
            SystemClock(),
            snapshot_s=snapshot_s,
            snapshot_records=snapshot_records,
            failed=self.failures.append,
            **more,
        )
        return follower, state

    def run(self) -> tuple[EmbeddedLiveState, bytes]:
        """Follow to the end of the log and stop; the state, and what a snapshot holds."""
        follower, state = self.follower()
        follower.start()
        assert follower.caught_up.wait(30)
        follower.stop()
        assert self.failures == []
        return state, follower.body()
