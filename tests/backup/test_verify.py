"""`verify` finds a flipped byte anywhere, and names where; `restore` takes nothing damaged."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.backup import manifest
from motorcade.backup.errors import BackupError, DamagedBackupError
from motorcade.backup.manifest import FileEntry, Manifest
from motorcade.backup.places import open_backup
from motorcade.backup.restore import restore
from motorcade.backup.verify import Damage, verify
from tests.backup.data import LANES, DataDirectory, backup
from tests.log.lanes import batch, group


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path_factory.mktemp("verify") / "data", commits=5)
    yield directory
    directory.close()


@pytest.fixture(scope="module")
def folder(data: DataDirectory) -> Path:
    out = data.path.with_name("backup")
    data.backup(out)
    return out


@pytest.fixture(scope="module")
def archive(data: DataDirectory) -> Path:
    out = data.path.with_name("backup.tar")
    data.backup(out)
    return out


def found(path: Path) -> list[Damage]:
    try:
        return verify(open_backup(path)).damage
    except DamagedBackupError as error:
        return [Damage(path.name, str(error))]


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << offset % 8
    path.write_bytes(content)


def test_a_sound_backup_is_found_sound(folder: Path, archive: Path) -> None:
    assert found(folder) == found(archive) == []


def test_a_flipped_byte_in_any_file_is_found_and_named(folder: Path) -> None:
    chance = random.Random(1)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 12
    for path in files:
        whole = path.read_bytes()
        size = len(whole)
        for offset in {0, size - 1, size // 2, *(chance.randrange(size) for _ in range(3))}:
            flip(path, offset)
            names = {name for name, _ in found(folder)}
            assert names == {path.relative_to(folder).as_posix()}, (path, offset)
            path.write_bytes(whole)


def test_a_flipped_byte_anywhere_in_an_archive_is_found(archive: Path, tmp_path: Path) -> None:
    """Headers and padding included, where no file's checksum looks."""
    whole = archive.read_bytes()
    chance = random.Random(2)
    offsets = {0, 100, 150, 155, 511, 512, len(whole) - 1, len(whole) - 5_000}
    offsets |= {whole.rindex(b"CHECK") + at for at in (0, 148, 155, 511, 512, 600)}
    offsets |= {chance.randrange(len(whole)) for _ in range(60)}
    offsets |= {len(whole) - number * 97 for number in range(1, 60)}
    damaged = tmp_path / "b.tar"
    for offset in sorted(offsets):
        damaged.write_bytes(whole)
        flip(damaged, offset)
        assert found(damaged), f"byte {offset} of {len(whole)}"


@pytest.mark.parametrize("left", [0, 511, 5_000, -10_240, -1])
def test_an_archive_that_is_cut_is_damaged(archive: Path, tmp_path: Path, left: int) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[:left])
    assert found(cut)


def test_missing_shorter_and_foreign_files_are_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    missing = sorted(copy.rglob("*.segment"))[0]
    missing.unlink()
    shorter = copy / "data" / "secrets" / "root.pem"
    shorter.write_bytes(shorter.read_bytes()[:-1])
    (copy / "data" / "foreign").write_text("x")
    named = {name for name, _ in found(copy)}
    assert named == {
        missing.relative_to(copy).as_posix(),
        "data/secrets/root.pem",
        "data/foreign",
    }


def test_a_log_that_was_damaged_before_is_copied_and_named(
    data: DataDirectory, tmp_path: Path
) -> None:
    """Checksums of the copy say nothing about the original: its frames are checked as well."""
    source = tmp_path / "data"
    shutil.copytree(data.path, source)
    segment = source / "log" / LANES[0] / data.segments()[0].name
    flip(segment, segment.stat().st_size // 2)
    backup(source, tmp_path / "backup")
    damage = found(tmp_path / "backup")
    assert {name for name, _ in damage} == {f"data/log/{LANES[0]}/{segment.name}"}
    assert "damaged from byte" in damage[0].problem


def test_a_segment_that_was_swapped_for_another_is_named(
    data: DataDirectory, tmp_path: Path
) -> None:
    source = tmp_path / "data"
    shutil.copytree(data.path, source)
    first, second = (source / "log" / LANES[0] / path.name for path in data.segments()[:2])
    first.write_bytes(second.read_bytes())
    backup(source, tmp_path / "backup")
    assert {name for name, _ in found(tmp_path / "backup")} == {f"data/log/{LANES[0]}/{first.name}"}


def test_a_segment_of_another_log_is_named(data: DataDirectory, tmp_path: Path) -> None:
    """Sound and with the right number, but its positions do not lead to the next one's."""
    source, other = tmp_path / "data", DataDirectory(tmp_path / "other", commits=0)
    shutil.copytree(data.path, source)
    other.appenders[0].commit(group(batch(0, 7)))
    other.close()
    first = source / "log" / LANES[0] / data.segments()[0].name
    first.write_bytes(other.segments()[0].read_bytes())
    backup(source, tmp_path / "backup")
    [damage] = found(tmp_path / "backup")
    assert damage.name == f"data/log/{LANES[0]}/{first.name}"
    assert "positions" in damage.problem


def test_restore_takes_nothing_damaged_unless_told(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    flip(copy / "data" / "secrets" / "root.pem", 0)
    with pytest.raises(DamagedBackupError, match=r"data/secrets/root\.pem"):
        restore(open_backup(copy), tmp_path / "new", even_damaged=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]
    restored = restore(open_backup(copy), tmp_path / "new", even_damaged=True)
    assert [name for name, _ in restored.damage] == ["data/secrets/root.pem"]
    assert (tmp_path / "new" / "registry.sqlite").exists()


def test_restore_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("precious")
    for name in ("full", "file"):
        with pytest.raises(BackupError, match="not empty"):
            restore(open_backup(folder), tmp_path / name, even_damaged=True)
    restore(open_backup(folder), tmp_path / "empty", even_damaged=False)
    assert (tmp_path / "empty" / "registry.sqlite").exists()


def test_what_is_no_backup_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="not there"):
        open_backup(tmp_path / "nothing")
    with pytest.raises(BackupError, match="no backup"):
        open_backup(tmp_path)
    (tmp_path / "text").write_text("hello")
    assert found(tmp_path / "text")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_no_name_leads_out_of_the_data_directory(name: str) -> None:
    entry = FileEntry(name=name, bytes=0, sha256="", mode=0o600)
    with pytest.raises(DamagedBackupError, match="leads out"):
        manifest.unpack(manifest.pack(_with(entry)))


@pytest.mark.parametrize("body", [b"[" * 5_000, b'{"format": 1, "made_by": "\xff"}', b"{}"])
def test_a_manifest_with_a_right_checksum_and_a_strange_body_is_damaged(body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest().encode()
    with pytest.raises(DamagedBackupError, match="cannot be read"):
        manifest.unpack(digest + b"\n" + body)


def test_a_backup_of_a_newer_version_says_so() -> None:
    packed = manifest.pack(_with(format=manifest.FORMAT + 1))
    with pytest.raises(BackupError, match="use the version that made it"):
        manifest.unpack(packed)


def _with(*files: FileEntry, format: int = manifest.FORMAT) -> Manifest:  # noqa: A002
    return Manifest(
        format=format,
        made_by="0",
        began_time_us=0,
        ended_time_us=0,
        lanes={},
        notes=[],
        files=list(files),
    )
