"""Killed or without power in every call to the disk: nothing lost, nothing doubled."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.history import merging
from motorcade.history.embedded import EmbeddedHistory
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.manifest import NAME
from motorcade.history.port import Series
from tests.faulty_files import FaultyFiles, Stopped
from tests.history.deployment import CONFIG, EVER, Deployment, oracle, shown
from tests.state.records import FLEET, signals

CARS = FLEET[:3]
RECORDS = [
    signals(CARS[number % 3], number * 7 % 40, soc=number, gear="D", own="x" * (number % 4))
    for number in range(60)
]
PARTS = (RECORDS[:30], RECORDS[30:])
SAID = {car: oracle(RECORDS, car) for car in CARS}


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A log with all records; each test gives history a disk of its own."""
    small = replace(CONFIG, log=replace(CONFIG.log, reader_bytes_max=1))  # a commit in each poll
    monkeypatch.setattr(merging, "MERGED_MIN", 2)
    made = Deployment(tmp_path, small)
    yield made
    made.close()


def write(deployment: Deployment) -> None:
    """As the process does from its start until it is stopped, flushing after each poll."""
    writer = deployment.history_writer()
    try:
        for _ in PARTS:
            writer.read_some()
            writer.flush()
            writer.maintain()
    finally:
        writer.close()


def check(deployment: Deployment, history: EmbeddedHistory | None = None) -> None:
    asked = history or deployment.history()
    try:
        for car in CARS:
            assert shown(asked.read(car, None, EVER)) == SAID[car]
    finally:
        if history is None:
            asked.close()


def run_until_stopped(deployment: Deployment, disk: FaultyFiles, call: int) -> bool:
    """Whether it was stopped in this call."""
    deployment.files, deployment.real_disk = disk, False
    disk.stop_at(call)
    try:
        write(deployment)
    except Stopped:
        return True
    return False


@pytest.mark.parametrize("end", ["kill", "power_loss"])
def test_a_crash_in_any_call_loses_and_doubles_nothing(deployment: Deployment, end: str) -> None:
    call = 0
    stopped = True
    for part in PARTS:
        deployment.append(part)
    while stopped:
        call += 1
        disk = FaultyFiles(seed=call)
        stopped = run_until_stopped(deployment, disk, call)
        getattr(disk, end)()
        check(deployment)  # before anything is mended: a reader may look first
        write(deployment)
        check(deployment)
        known = deployment.history_writer().manifest
        named = {row.number for row in known.files} | {number for number, _ in known.retired}
        left = disk.names(deployment.directory / "history")
        for ending in (".parquet", ".index", ".runs"):
            assert sum(name.endswith(ending) for name in left) == len(named)
        assert not any(name.endswith(".tmp") for name in left)
    assert call > 10


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_takes_nothing_is_tried_again(deployment: Deployment, number: int) -> None:
    for part in PARTS:
        deployment.append(part)
    call, failed = 0, True
    while failed:
        call += 1
        disk = FaultyFiles(seed=call)
        deployment.files, deployment.real_disk = disk, False
        writer, history = deployment.history_writer(), deployment.history()
        writer.read_some()
        disk.fail(call, number)
        failed = not writer.try_flush()
        disk.mend()
        check(deployment, history)
        writer.read_on()
        assert writer.try_flush()
        check(deployment, history)
        disk.power_loss()
        check(deployment)
        assert writer.flush_failures == failed
        writer.close()
        history.close()
    assert call > 5


def test_damage_is_told_and_names_the_file(deployment: Deployment) -> None:
    disk = FaultyFiles()
    deployment.files, deployment.real_disk = disk, False
    deployment.append(RECORDS)
    write(deployment)
    directory = deployment.directory / "history"
    names = [name for name in disk.names(directory) if not name.endswith((".reading", ".runs"))]
    assert NAME in names
    for name in names:
        whole = disk.content(directory / name)
        middle = len(whole) - 6 if name.endswith(".parquet") else len(whole) // 2
        disk.damage(directory / name, middle, b"\xff\xff\xff")
        with pytest.raises(HistoryDamagedError, match=name):
            read(deployment)
        disk.damage(directory / name, middle, whole[middle : middle + 3])
    check(deployment)


def read(deployment: Deployment) -> dict[str, Series]:
    history = deployment.history()
    try:
        return history.read(CARS[0], None, EVER)
    finally:
        history.close()
