"""Column files and their sums: what is read is what was written, also of files that have none."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xxhash

from motorcade.backup.places import open_backup
from motorcade.backup.verify import verify
from motorcade.durable import Files
from motorcade.history import index
from motorcade.history.checking import check_file
from motorcade.history.columns import ENDING, INDEX_ENDING
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.sums import BLOCK_BYTES, SummedNewFile, sums_of
from motorcade.log.files import OsFiles
from tests.backup.data import backup
from tests.history.deployment import EVER, Deployment, shown
from tests.history.test_crash import CARS, RECORDS, SAID


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """All records in one column file."""
    made = Deployment(tmp_path / "data")
    made.append(RECORDS)
    writer = made.history_writer()
    writer.read_on()
    writer.flush()
    writer.close()
    yield made
    made.close()


def check(deployment: Deployment) -> None:
    history = deployment.history()
    try:
        for car in CARS:
            assert shown(history.read(car, None, EVER)) == SAID[car]
    finally:
        history.close()


def make_older(directory: Path, *, boxed: bool) -> None:
    """Indices as the versions before sums wrote them."""
    for path in directory.glob(f"*{INDEX_ENDING}"):
        new = index.unpack(path.read_bytes(), path.name)
        assert new.sums is not None
        old = replace(new, sums=None, boxes=new.boxes if boxed else None)
        path.write_bytes(index.pack(old))


@pytest.mark.parametrize("boxed", [True, False])
def test_files_of_earlier_versions_are_read_verified_and_still_checked_by_page(
    deployment: Deployment, tmp_path: Path, boxed: bool
) -> None:
    directory = deployment.directory / "history"
    make_older(directory, boxed=boxed)
    check(deployment)
    assert verify(open_backup(made(deployment, tmp_path / "whole"))).damage == []
    (path,) = directory.glob(f"*{ENDING}")
    content = bytearray(path.read_bytes())
    content[len(content) // 5] ^= 8  # within the first pages' values
    path.write_bytes(content)
    with pytest.raises(HistoryDamagedError, match=path.name):
        check(deployment)
    [damage] = verify(open_backup(made(deployment, tmp_path / "damaged"))).damage
    assert damage.name == f"data/history/{path.name}"


def test_a_flipped_byte_anywhere_is_found_where_parquet_alone_finds_some(
    deployment: Deployment,
) -> None:
    (path,) = (deployment.directory / "history").glob(f"*{ENDING}")
    (beside,) = (deployment.directory / "history").glob(f"*{INDEX_ENDING}")
    whole, sums = path.read_bytes(), beside.read_bytes()
    assert list(check_file(path.name, io.BytesIO(whole), sums)) == []
    by_parquet = 0
    places = range(0, len(whole), max(1, len(whole) // 100))
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1
        (told,) = check_file(path.name, io.BytesIO(content), sums)
        assert str(place // BLOCK_BYTES * BLOCK_BYTES) in told
        by_parquet += any(check_file(path.name, io.BytesIO(content)))
    assert by_parquet < len(places), "else the sums are for nothing"


def made(deployment: Deployment, out: Path) -> Path:
    backup(deployment.directory, out)
    return out


@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_of_another_length_is_damaged(deployment: Deployment, more: int) -> None:
    (path,) = (deployment.directory / "history").glob(f"*{ENDING}")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if more < 0 else whole + b"x")
    with pytest.raises(HistoryDamagedError, match=path.name):
        check(deployment)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 5])
@pytest.mark.parametrize("piece", [1_000, BLOCK_BYTES, 100_000])
def test_sums_are_of_the_blocks_however_they_were_written(
    size: int, piece: int, tmp_path: Path
) -> None:
    files: Files = OsFiles()
    data = np.random.default_rng(size).bytes(size)
    file = SummedNewFile(files, tmp_path / "file")
    for at in range(0, size, piece):
        assert file.write(data[at : at + piece]) == len(data[at : at + piece])
    file.finish()
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, size, BLOCK_BYTES)]
    assert file.sums().tolist() == [xxhash.xxh3_64_intdigest(block) for block in blocks]
    with (tmp_path / "file").open("rb") as written:
        assert sums_of(written).tolist() == file.sums().tolist()
