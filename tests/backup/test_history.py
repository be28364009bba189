"""History in a backup: whole, at one with the log, whatever its writer does meanwhile."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motorcade.backup import make, places
from motorcade.backup.places import open_backup
from motorcade.backup.restore import restore
from motorcade.backup.verify import Damage, Report, verify
from motorcade.events import Record
from motorcade.history import merging
from motorcade.history.writer import HistoryWriter
from tests.backup.data import backup
from tests.history.deployment import CONFIG as PLAIN
from tests.history.deployment import EVER, Deployment, oracle, shown
from tests.state.records import FLEET, signals

CONFIG = replace(PLAIN, history=replace(PLAIN.history, retired_s=0))
CARS = FLEET[:3]


def said(first: int, count: int = 20) -> list[Record]:
    return [
        signals(CARS[number % 3], number, soc=number, own="x" * (number % 4))
        for number in range(first, first + count)
    ]


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setattr(merging, "MERGED_MIN", 2)
    made = Deployment(tmp_path / "data", CONFIG)
    yield made
    made.close()


def write(deployment: Deployment, writer: HistoryWriter, records: Sequence[Record]) -> None:
    deployment.append(records)
    writer.read_on()
    writer.flush()


def checked(path: Path) -> Report:
    report = verify(open_backup(path))
    assert report.damage == []
    return report


def check_restored(out: Path, to: Path, records: list[Record]) -> None:
    """All of it is there, and goes on: once more, and nothing twice."""
    restore(open_backup(out), to, even_damaged=False)
    restored = Deployment(to, CONFIG)
    try:
        for more in ([], said(1_000), said(2_000)):
            records = [*records, *more]
            restored.append(more)
            history, writer = restored.history(), restored.history_writer()
            for car in CARS:
                assert shown(history.read(car, None, EVER)) == oracle(records, car)
            writer.read_on()
            writer.flush()
            while writer.maintain():
                restored.clock.advance(1)
            for car in CARS:
                assert shown(history.read(car, None, EVER)) == oracle(records, car)
            writer.close()
            history.close()
    finally:
        restored.close()


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_history_is_restored_and_goes_on_without_a_gap(
    deployment: Deployment, tmp_path: Path, name: str
) -> None:
    writer = deployment.history_writer()
    for first in (0, 100):
        write(deployment, writer, said(first))
    deployment.append(said(200))  # not in any file yet
    backup(deployment.directory, tmp_path / name)
    report = checked(tmp_path / name)
    assert (report.counts["history files"], report.counts["history rows"]) == (2, 40)
    writer.close()
    check_restored(tmp_path / name, tmp_path / "new", [*said(0), *said(100), *said(200)])


def during(monkeypatch: pytest.MonkeyPatch, act: Callable[[str], None]) -> None:
    """`act` is told each file before it is copied."""
    original = make._Making._add_history_file

    def add(self: Any, path: Path) -> bool:
        act(path.name)
        return original(self, path)

    monkeypatch.setattr(make._Making, "_add_history_file", add)


@pytest.mark.parametrize("at", range(8))
def test_what_is_flushed_and_merged_meanwhile_leaves_no_hole(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At each file in turn, all that was there until then is merged and removed."""
    writer = deployment.history_writer()
    records = [*said(0), *said(100)]
    write(deployment, writer, records[:20])
    write(deployment, writer, records[20:])
    calls: list[str] = []

    def merge(name: str) -> None:
        calls.append(name)
        if len(calls) == at + 1:
            write(deployment, writer, said(200))
            while writer.maintain():
                deployment.clock.advance(1)

    during(monkeypatch, merge)
    backup(deployment.directory, tmp_path / "backup")
    checked(tmp_path / "backup")
    writer.close()
    if len(calls) > at:
        records += said(200)
    check_restored(tmp_path / "backup", tmp_path / "new", records)
    assert len(calls) >= 7


def test_history_is_read_before_the_log(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    original = places.FolderTarget.add

    def add(self: Any, place: str, *more: Any, **options: Any) -> None:
        order.append(place.removeprefix("data/"))
        original(self, place, *more, **options)

    monkeypatch.setattr(places.FolderTarget, "add", add)
    writer = deployment.history_writer()
    write(deployment, writer, said(0))
    backup(deployment.directory, tmp_path / "backup")
    writer.close()
    own = [n for n, place in enumerate(order) if place.startswith("history/")]
    assert order[own[-1]] == "history/manifest"
    lanes = [n for n, place in enumerate(order) if place.endswith((".segment", "/durable"))]
    assert max(own) < min(lanes)


def test_a_backup_without_history_is_restored_and_history_made_anew(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.append(said(0))
    backup(deployment.directory, tmp_path / "backup")
    assert "history files" not in checked(tmp_path / "backup").counts
    check_restored(tmp_path / "backup", tmp_path / "new", said(0))


def test_a_second_backup_shares_history_s_files(deployment: Deployment, tmp_path: Path) -> None:
    writer = deployment.history_writer()
    write(deployment, writer, said(0))
    backup(deployment.directory, tmp_path / "first")
    write(deployment, writer, said(100))
    backup(deployment.directory, tmp_path / "second", make.earlier(tmp_path / "first"))
    checked(tmp_path / "second")
    kept = sorted(path.name for path in (tmp_path / "first").glob("data/history/0*1.*"))
    assert len(kept) == 4
    for name in kept[:2] + kept[3:]:  # what reading on needed is replaced
        one, other = (tmp_path / each / "data" / "history" / name for each in ("first", "second"))
        assert one.stat().st_ino == other.stat().st_ino
    shutil.rmtree(tmp_path / "first")
    writer.close()
    check_restored(tmp_path / "second", tmp_path / "new", [*said(0), *said(100)])


def damage_of(deployment: Deployment, out: Path) -> list[Damage]:
    shutil.rmtree(out, ignore_errors=True)
    backup(deployment.directory, out)
    return verify(open_backup(out)).damage


def test_a_history_that_was_damaged_before_is_copied_and_named(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Any flipped byte that means anything: checksums of the copy say nothing about it."""
    writer = deployment.history_writer()
    write(deployment, writer, said(0, 3_000))
    writer.close()
    directory, out = deployment.directory / "history", tmp_path / "backup"
    assert damage_of(deployment, out) == []
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for place in (len(whole) // 5, len(whole) // 2, len(whole) - 3):
            content = bytearray(whole)
            content[place] ^= 8
            path.write_bytes(content)
            names = {name for name, _ in damage_of(deployment, out)}
            assert names == {f"data/history/{path.name}"}, place
        path.write_bytes(whole)


def test_a_file_that_is_missing_is_told(deployment: Deployment, tmp_path: Path) -> None:
    writer = deployment.history_writer()
    write(deployment, writer, said(0))
    writer.close()
    (deployment.directory / "history" / "000000000001.index").unlink()
    made = backup(deployment.directory, tmp_path / "backup")
    assert made.manifest.notes == ["history/000000000001.index is not there"]
    [damage] = verify(open_backup(tmp_path / "backup")).damage
    assert damage.name == "data/history/manifest"
    assert "000000000001.index" in damage.problem
