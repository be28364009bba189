"""One suite for the real disk and the one in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from motorcade.vehicle.disk import DirectoryDisk, Disk, MemoryDisk


@pytest.fixture(params=["directory", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    make: dict[str, Callable[[], Disk]] = {
        "directory": lambda: DirectoryDisk(tmp_path / "disk"),
        "memory": MemoryDisk,
    }
    return make[request.param]()


def test_appended_bytes_are_read_from_anywhere(disk: Disk) -> None:
    disk.append("a", b"hello ")
    disk.append("a", b"world")
    assert disk.read("a") == b"hello world"
    assert disk.read("a", 6) == b"world"
    assert disk.read("a", 4, 3) == b"o w"
    assert disk.size("a") == 11


def test_a_missing_file_is_empty(disk: Disk) -> None:
    assert disk.read("none") == b""
    assert disk.size("none") == 0
    disk.remove("none")
    assert disk.names() == []


def test_truncated_files_go_on_at_their_new_end(disk: Disk) -> None:
    disk.append("a", b"abcdef")
    disk.truncate("a", 2)
    disk.append("a", b"X")
    disk.sync("a")
    assert disk.read("a") == b"abX"


def test_replaced_files_hold_only_the_new(disk: Disk) -> None:
    disk.append("a", b"old and long")
    disk.replace("a", b"new")
    disk.append("a", b"er")
    assert disk.read("a") == b"newer"
    assert disk.names() == ["a"]


def test_an_empty_append_makes_the_file(disk: Disk) -> None:
    disk.append("b", b"")
    disk.append("a", b"1")
    assert disk.names() == ["a", "b"]
    disk.remove("a")
    assert disk.names() == ["b"]


def test_a_directory_is_the_owners_alone_and_outlives_the_object(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path / "car")
    disk.append("a", b"kept")
    disk.sync("a")
    disk.close()
    assert (tmp_path / "car").stat().st_mode & 0o077 == 0
    assert (tmp_path / "car" / "a").stat().st_mode & 0o077 == 0
    assert DirectoryDisk(tmp_path / "car").read("a") == b"kept"
