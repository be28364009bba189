"""What a backup of a data directory holds, whoever writes there meanwhile."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from motorcade.backup import contents, make, places
from motorcade.backup.errors import BackupError
from motorcade.backup.places import open_backup
from motorcade.backup.restore import restore
from motorcade.backup.verify import Report, verify
from motorcade.log.files import OsFiles
from motorcade.log.watermark import Watermark
from tests.backup.data import LANES, RECORDS, DataDirectory, backup, database
from tests.log.lanes import LaneOnDisk, batch, group, numbers, read_on


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path / "data")
    yield directory
    directory.close()


def checked(path: Path) -> Report:
    report = verify(open_backup(path))
    assert report.damage == []
    return report


def restored(out: Path, to: Path) -> Path:
    restore(open_backup(out), to, even_damaged=False)
    return to


def stored(data: Path, lane: str = LANES[0]) -> list[int]:
    """The records of a restored lane, as its reader sees them."""
    on_disk = LaneOnDisk(OsFiles(), data / "log" / lane)
    return numbers(read_on(on_disk.tail()))


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_a_backup_beside_the_writers_holds_all_that_is_durable(
    data: DataDirectory, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    data.backup(out)
    data.commit()  # comes later, and is not in it
    report = checked(out)
    assert report.counts["records"] == len(LANES) * (data.records - RECORDS)
    assert report.counts | {"vehicles": 3, "sessions": 2, "commands": 1} == report.counts
    to = restored(out, tmp_path / "new")
    for lane in LANES:
        assert stored(to, lane) == list(range(data.records - RECORDS))
    assert (to / "secrets" / "root.pem").read_text() == "a private key\n"
    assert (to / "state" / "000000000001.snapshot").read_bytes() == b"a snapshot"


def test_a_restored_lane_goes_on_with_the_next_position(
    data: DataDirectory, tmp_path: Path
) -> None:
    data.backup(tmp_path / "backup")
    lane = LaneOnDisk(OsFiles(), restored(tmp_path / "backup", tmp_path / "new") / "log" / LANES[0])
    appender = lane.open()
    assert appender.recovered is None
    appender.commit(group(batch(data.records, RECORDS)))
    lane.close(appender)
    found = read_on(lane.tail())
    assert numbers(found) == list(range(data.records + RECORDS))
    for partition in range(3):
        for topic in {record.topic for record in found}:
            positions = [r.position for r in found if (r.partition, r.topic) == (partition, topic)]
            assert positions == list(range(len(positions)))


def test_bytes_that_are_not_durable_yet_are_not_in_it(data: DataDirectory, tmp_path: Path) -> None:
    active = data.segments()[-1]
    with active.open("r+b") as file:
        file.seek(Watermark(data.files, active.parent).read().offset)
        file.write(b"half a frame")
    data.backup(tmp_path / "backup")
    checked(tmp_path / "backup")
    copied = tmp_path / "backup" / "data" / "log" / LANES[0] / active.name
    assert b"half a frame" not in copied.read_bytes()


def test_a_lane_without_a_writer_is_recovered_first(data: DataDirectory, tmp_path: Path) -> None:
    """Where the machine went down the watermark may be lost, and the records are not."""
    data.close()
    copy = tmp_path / "copy"
    shutil.copytree(data.path, copy)
    for page in copy.glob("log/*/durable"):
        page.write_bytes(bytes(4_096))
    backup(copy, tmp_path / "backup")
    assert checked(tmp_path / "backup").counts["records"] == len(LANES) * data.records


def test_what_points_into_the_log_is_read_before_it_and_the_registry_after(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    original = places.FolderTarget.add

    def add(self: Any, place: str, *more: Any, **options: Any) -> None:
        order.append(place.removeprefix("data/"))
        original(self, place, *more, **options)

    monkeypatch.setattr(places.FolderTarget, "add", add)
    data.backup(tmp_path / "backup")
    log = [n for n, place in enumerate(order) if place.startswith("log/")]
    for store in ("mqtt/sessions.sqlite", "commands/ledger.sqlite", "state/000000000001.snapshot"):
        assert order.index(store) < min(log)
    assert order.index("registry.sqlite") > max(log)
    assert order[-1] == "MANIFEST"


def test_segments_that_retention_takes_meanwhile_leave_no_hole(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = data.segments()
    assert len(segments) >= 3
    original = places.FolderTarget.add

    def add(self: Any, place: str, *more: Any, **options: Any) -> None:
        original(self, place, *more, **options)
        if place.endswith(
            f"{LANES[0]}/{segments[-1].name}"
        ):  # the first of the lane that is copied
            for segment in segments[:-2]:
                segment.unlink()

    monkeypatch.setattr(places.FolderTarget, "add", add)
    data.backup(tmp_path / "backup")
    checked(tmp_path / "backup")
    kept = sorted((tmp_path / "backup" / "data" / "log" / LANES[0]).glob("*.segment"))
    assert [path.name for path in kept] == [path.name for path in segments[-2:]]


def test_a_snapshot_that_is_replaced_meanwhile_is_there_all_the_same(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = data.path / "state"
    original = Path.open
    replaced: list[Path] = []

    def replacing(self: Path, *more: Any, **options: Any) -> Any:
        if self.name == "000000000001.snapshot" and not replaced:
            replaced.append(self.rename(state / "000000000003.snapshot"))
        return original(self, *more, **options)

    monkeypatch.setattr(Path, "open", replacing)
    made = data.backup(tmp_path / "backup")
    monkeypatch.undo()
    assert replaced
    names = [entry.name for entry in made.manifest.files if entry.name.startswith("state/")]
    assert names == ["state/000000000003.snapshot"]


def test_who_runs_now_and_half_written_files_are_left_out(
    data: DataDirectory, tmp_path: Path
) -> None:
    for name in (
        "lock",
        "ready.json",
        "state/writing",
        ".hidden",
        "cursor.tmp",
        "a.sqlite.damaged",
    ):
        (data.path / name).write_text("x")
    (data.path / "log" / "doorbells").mkdir()
    (data.path / "log" / "doorbells" / "bulk.1.0").write_text("x")
    (data.path / "somebody-elses").write_text("kept")
    (data.path / "log" / "cursors").mkdir()
    (data.path / "log" / "cursors" / "group.cursor").write_text("{}")
    made = data.backup(tmp_path / "backup")
    names = {entry.name for entry in made.manifest.files}
    assert {"somebody-elses", "log/cursors/group.cursor"} <= names
    assert not [name for name in names if contents.is_left_out(name)]
    assert not [n for n in names if n.endswith(("lock", "recovering")) or "doorbells" in n]


def test_a_second_backup_shares_what_did_not_change(data: DataDirectory, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    data.backup(first)
    for _ in range(6):
        data.commit()
    made = data.backup(second, make.earlier(first))
    assert made.bytes_shared > 0
    checked(second)
    name = f"data/log/{LANES[0]}/{data.segments()[0].name}"
    assert (first / name).stat().st_ino == (second / name).stat().st_ino
    was_active = f"data/log/{LANES[0]}/{data.segments()[2].name}"
    assert (first / was_active).stat().st_size < (second / was_active).stat().st_size
    shutil.rmtree(first)
    checked(second)
    assert stored(restored(second, tmp_path / "new")) == list(range(data.records))


def test_another_log_with_the_same_names_is_not_shared(tmp_path: Path) -> None:
    one, other = DataDirectory(tmp_path / "one"), DataDirectory(tmp_path / "other", commits=3)
    other.records = 5_000
    for _ in range(5):
        other.commit()
    one.backup(tmp_path / "first")
    made = other.backup(tmp_path / "second", make.earlier(tmp_path / "first"))
    sealed = other.segments()[0].stat().st_size  # both begin with the same three commits
    assert made.bytes_shared == sealed * len(LANES)
    checked(tmp_path / "second")
    for each in (one, other):
        each.close()


def test_keys_are_readable_by_their_owner_alone(data: DataDirectory, tmp_path: Path) -> None:
    (data.path / "ca.pem").write_text("public")
    (data.path / "ca.pem").chmod(0o644)
    data.backup(tmp_path / "backup")
    data.backup(tmp_path / "backup.tar")
    for path in [tmp_path / "backup.tar", *(tmp_path / "backup").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    to = restored(tmp_path / "backup", tmp_path / "new")
    assert (to / "ca.pem").stat().st_mode & 0o777 == 0o644
    assert (to / "secrets" / "root.pem").stat().st_mode & 0o777 == 0o600
    assert (to / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(
    data: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(BackupError, match="is there already"):
        data.backup(tmp_path / "there")
    with pytest.raises(BackupError, match="no directory"):
        data.backup(tmp_path / "nowhere" / "backup")
    monkeypatch.setattr(places, "copy", _full)
    with pytest.raises(OSError, match="full"):
        data.backup(tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "there"]


def _full(*_: object) -> None:
    raise OSError("disk full")


def test_a_damaged_ledger_is_left_out_and_said_so(data: DataDirectory, tmp_path: Path) -> None:
    ledger = data.path / "commands" / "ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[100:4_000] = bytes(3_900)
    ledger.write_bytes(content)
    made = data.backup(tmp_path / "backup")
    if made.manifest.notes:
        assert "built anew" in made.manifest.notes[0]
    else:  # SQLite copied the pages as they are: then `verify` has to say so
        damage = verify(open_backup(tmp_path / "backup")).damage
        assert [name for name, _ in damage] == ["data/commands/ledger.sqlite"]


def test_a_database_is_copied_as_one_moment_beside_its_writer(tmp_path: Path) -> None:
    """Two rows are always written together: no copy may hold one of them."""
    data = tmp_path / "data"
    database(data / "registry.sqlite", "pairs", 0)
    with closing(sqlite3.connect(data / "registry.sqlite")) as writer:
        for number in range(20):
            with writer:
                writer.executemany("INSERT INTO pairs VALUES (?)", [(number,), (number,)])
            if number % 5 == 0:
                backup(data, tmp_path / f"b{number}")
                copied = tmp_path / f"b{number}" / "data" / "registry.sqlite"
                with closing(sqlite3.connect(copied)) as reader:
                    count = reader.execute("SELECT count(*) FROM pairs").fetchone()[0]
                assert count == 2 * (number + 1)
