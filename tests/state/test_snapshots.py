"""Snapshots on a disk that loses power, tears writes and rots."""

from pathlib import Path

import pytest

from motorcade.log.files import OsFiles
from motorcade.state.snapshots import SnapshotStore
from tests.faulty_files import FaultyFiles, Stopped


def bodies(store: SnapshotStore) -> list[bytes]:
    return list(store.load())


def test_the_newest_two_are_kept_newest_first(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "state", OsFiles())
    assert bodies(store) == []
    for number in range(5):
        store.save(b"body %d" % number)
    assert bodies(store) == [b"body 4", b"body 3"]
    assert len(list((tmp_path / "state").iterdir())) == 2


def test_a_shorter_one_leaves_nothing_of_a_longer_one_that_failed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, OsFiles())
    (tmp_path / "writing").write_bytes(b"x" * 1_000)
    store.save(b"short")
    assert bodies(store) == [b"short"]


@pytest.mark.parametrize("place", range(0, 40))
def test_a_flipped_bit_anywhere_falls_back_to_the_one_before(tmp_path: Path, place: int) -> None:
    store = SnapshotStore(tmp_path, OsFiles())
    store.save(b"before")
    store.save(b"newest..")
    path = max(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert bodies(store) == [b"before"]


def test_a_cut_or_empty_file_is_skipped(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, OsFiles())
    store.save(b"before")
    store.save(b"newest")
    path = max(tmp_path.iterdir())
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert bodies(store) == [b"before"]
    (tmp_path / "notes.snapshot").write_text("not ours")
    assert bodies(store) == [b"before"]


DIRECTORY = Path("/state")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("call", range(1, 12))
def test_power_lost_in_any_call_leaves_the_old_or_the_new(call: int, seed: int) -> None:
    disk = FaultyFiles(seed)
    store = SnapshotStore(DIRECTORY, disk)
    for number in range(3):
        store.save(b"old %d" % number)
    disk.stop_at(call)
    stopped = True
    try:
        store.save(b"new" * 100)
        stopped = disk.stopped
    except Stopped:
        pass
    disk.power_loss()
    assert bodies(store)[0] in ([b"old 2", b"new" * 100] if stopped else [b"new" * 100])
    store.save(b"next")
    assert bodies(store)[0] == b"next"


@pytest.mark.parametrize("call", range(1, 8))
def test_a_disk_error_leaves_the_old_one_and_the_next_save_works(call: int) -> None:
    disk = FaultyFiles()
    store = SnapshotStore(DIRECTORY, disk)
    store.save(b"older")
    store.save(b"old")
    disk.fail(call)
    try:
        store.save(b"new")
    except OSError:
        assert bodies(store)[0] in (b"old", b"new")
    store.save(b"next")
    disk.power_loss()
    assert bodies(store)[0] == b"next"
