"""Each fault at each call of each scenario; and the enumerator itself finds what is broken."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.log.files import OsFiles
from motorcade.log.watermark import Mark, Watermark
from tests.faults.enumerate import Make, enumerate_faults, fast_directory
from tests.faults.log_scenarios import Append, FirstStart
from tests.faults.plan import Fault
from tests.faults.scenarios import ALL

STRIDE = int(os.environ.get("FAULTS_STRIDE", "4"))  # one pair in so many; `make faults`: all


@pytest.fixture
def disk() -> Iterator[Path]:
    with fast_directory() as directory:
        yield directory / "disk"


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
def test_promises_hold_after_faults_at_every_call(make: Make, disk: Path) -> None:
    stride = STRIDE * getattr(make, "costly", 1)
    tally = enumerate_faults(make, disk, stride=stride)
    assert not tally.failures, "\n".join(tally.failures[:20])
    assert stride * tally.runs > len(tally.calls) > 0


def test_a_missing_sync_is_found(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OsFiles, "write_synced", OsFiles.write)
    assert found(Append, disk)


def test_a_missing_sync_of_the_name_is_found(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OsFiles, "sync_directory", lambda self, path: None)
    assert found(FirstStart, disk)


def test_a_watermark_ahead_of_the_disk_is_found(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Watermark.publish
    monkeypatch.setattr(
        Watermark, "publish", lambda self, mark: publish(self, Mark(mark.segment, mark.offset + 8))
    )
    assert found(Append, disk)


def test_a_short_write_taken_for_a_whole_one_is_found(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(self: OsFiles, fd: int, parts: list[bytes], offset: int, flags: int) -> None:
        from motorcade.log import files

        files.os.pwritev(fd, parts, offset, flags)

    monkeypatch.setattr(OsFiles, "_write", once)
    assert found(Append, disk, Fault.SHORT)


def found(make: Make, disk: Path, *only: Fault) -> bool:
    """Whether some run fails, the one without a fault included."""
    try:
        return bool(enumerate_faults(make, disk, only=frozenset(only) or None).failures)
    except AssertionError:
        return True
