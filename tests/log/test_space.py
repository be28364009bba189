"""Bulk records stop before the disk is full, and start again by themselves; others go on."""

from pathlib import Path

import pytest

from motorcade.config import LogConfig
from motorcade.log.errors import LogFullError
from motorcade.log.space import DiskSpace
from tests.faulty_files import FaultyFiles
from tests.log.lanes import LaneOnDisk, batch, group, read_on

DIRECTORY = Path("/log/test-bulk")
CONFIG = LogConfig(partitions=4, disk_free_bytes_min=1_000_000, disk_free_commands_bytes_min=10_000)


def test_bulk_is_refused_in_the_reserve_and_taken_again_behind_it() -> None:
    files = FaultyFiles()
    lane = LaneOnDisk(files, DIRECTORY, CONFIG)
    appender = lane.open()
    appender.commit(group(batch(0, 3)))
    files.free_bytes = CONFIG.disk_free_bytes_min - 1
    for _ in range(2):
        with pytest.raises(LogFullError, match=r"999999 bytes left.*log\.disk_free_bytes_min"):
            appender.commit(group(batch(3, 3)))
    files.free_bytes = CONFIG.disk_free_bytes_min
    appender.commit(group(batch(6, 3)))
    read = read_on(lane.tail())
    assert [record.sequence for record in read] == [0, 1, 2, 6, 7, 8]


@pytest.mark.parametrize(
    ("free", "total", "bulk", "commands"),
    [
        (1_000_000, 1 << 40, True, True),
        (999_999, 1 << 40, False, True),
        (10_000, 1 << 40, False, True),
        (9_999, 1 << 40, False, False),
        (10_000, 100_000, True, True),  # a small disk: a tenth is enough of a reserve
        (9_999, 100_000, False, True),
        (999, 100_000, False, False),
    ],
)
def test_the_reserves(free: int, total: int, bulk: bool, commands: bool) -> None:
    class Disk(FaultyFiles):
        def space(self, directory: Path) -> tuple[int, int]:
            return free, total

    space = DiskSpace(Disk(), DIRECTORY, CONFIG)
    assert space.has_room_for_commands() == commands
    if bulk:
        space.demand_bulk()
    else:
        with pytest.raises(LogFullError):
            space.demand_bulk()
