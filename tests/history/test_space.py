"""History leaves the end of a disk to the log: it waits, says so once, and goes on by itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from motorcade.config import HistoryConfig
from motorcade.history import merging
from motorcade.history.space import SMALL_DISK, Room
from motorcade.history.writer import SAMPLE_BYTES, HistoryWriter
from tests.faulty_files import FaultyFiles
from tests.history.deployment import CONFIG, EVER, Deployment, shown
from tests.state.records import FLEET, signals

CAR = FLEET[0]
LIMITS = replace(CONFIG.history, flush_s=60.0, retry_s=10.0, retired_s=0)
LEAST = LIMITS.disk_free_bytes_min


@pytest.fixture
def disk() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def deployment(
    tmp_path: Path, disk: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    monkeypatch.setattr(merging, "MERGED_MIN", 2)
    made = Deployment(tmp_path, replace(CONFIG, history=LIMITS), disk)
    yield made
    made.close()


def said(deployment: Deployment, second: int) -> None:
    deployment.append([signals(CAR, second * 1_000_000, soc=second)])


def turn(deployment: Deployment, writer: HistoryWriter) -> list[str]:
    """A minute later; what is said in the log of events."""
    deployment.clock.advance(LIMITS.flush_s)
    with capture_logs() as logs:
        writer.turn()
    return [entry["event"] for entry in logs]


def test_history_waits_for_room_says_so_once_and_goes_on(
    deployment: Deployment, disk: FaultyFiles
) -> None:
    writer, history = deployment.history_writer(), deployment.history()
    said(deployment, 1)
    disk.free_bytes = LEAST + SAMPLE_BYTES - 1
    assert turn(deployment, writer) == ["history_disk_full"]
    said(deployment, 2)
    assert turn(deployment, writer) == []
    assert (writer.manifest.files, writer.flush_failures) == ([], 2)
    values = [value for _, _, value in shown(history.read(CAR, None, EVER))["soc"]]
    assert values == [1, 2]  # from the log
    disk.free_bytes = LEAST + 2 * SAMPLE_BYTES
    assert turn(deployment, writer) == ["history_disk_has_room_again"]
    assert sum(row.rows for row in writer.manifest.files) == 2
    said(deployment, 3)
    assert turn(deployment, writer) == []
    values = [value for _, _, value in shown(history.read(CAR, None, EVER))["soc"]]
    assert values == [1, 2, 3]
    writer.close()
    history.close()


def test_it_is_tried_again_after_a_while_and_not_in_each_turn(
    deployment: Deployment, disk: FaultyFiles
) -> None:
    writer = deployment.history_writer()
    said(deployment, 1)
    disk.free_bytes = 0
    turn(deployment, writer)
    disk.free_bytes = 1 << 40
    deployment.clock.advance(LIMITS.retry_s - 1)
    writer.turn()
    assert not writer.manifest.files
    deployment.clock.advance(1)
    writer.turn()
    assert writer.manifest.files
    writer.close()


def test_without_room_nothing_is_merged_and_what_is_too_old_still_goes(
    deployment: Deployment, disk: FaultyFiles
) -> None:
    writer = deployment.history_writer()
    for second in (1, 2):
        said(deployment, second)
        writer.read_on()
        writer.flush()
    disk.free_bytes = LEAST + sum(row.bytes for row in writer.manifest.files) - 1
    assert not writer.maintain()
    deployment.clock.advance(LIMITS.retention_age_s)
    said(deployment, 3)
    disk.free_bytes = 0
    assert turn(deployment, writer) == ["history_disk_full"]
    assert (writer.manifest.files, writer.merges) == ([], 0)
    left = disk.names(deployment.directory / "history")
    assert not [name for name in left if name.endswith(".parquet")]
    writer.close()


def test_a_small_disk_keeps_a_part_of_itself() -> None:
    class Small(FaultyFiles):
        def space(self, directory: Path) -> tuple[int, int]:
            return self.free_bytes, 1_000_000

    disk = Small()
    room = Room(disk, Path("/history"), HistoryConfig())
    disk.free_bytes = 1_000_000 // SMALL_DISK + 7
    assert room.missing(7) == ""
    assert "history.disk_free_bytes_min" in room.missing(8)
