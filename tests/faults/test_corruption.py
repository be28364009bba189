"""A flipped byte in any file at rest; and what is not checked is found to be so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.vehicle import checked
from tests.faults.corruption import Case, flip_all
from tests.faults.corruption_cases import ALL, JournalAtRest
from tests.faults.enumerate import fast_directory

STRIDE = 23  # one byte in so many; `make faults` flips them all


@pytest.fixture
def disk() -> Iterator[Path]:
    with fast_directory() as directory:
        yield directory / "flips"


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
def test_damage_is_found_named_and_confined(make: type[Case], disk: Path) -> None:
    result = flip_all(make(), disk, stride=STRIDE)
    assert not result.failures, "\n".join(result.failures[:20])
    assert result.confined + result.refused > 0


def test_a_check_that_is_not_made_is_found(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked.zlib, "crc32", lambda data, start=0: 0)
    assert flip_all(JournalAtRest(), disk, stride=5).failures
