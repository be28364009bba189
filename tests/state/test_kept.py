"""The series of kept snapshots: thinning, a disk that fails, an index that is lost."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.config import PastConfig
from motorcade.log.files import OsFiles
from motorcade.state.kept import ANY_TIME, Content, Kept, KeptSnapshots, thinned
from tests.faulty_files import FaultyFiles, Stopped

DIRECTORY = Path("/state/kept")
CONFIG = PastConfig(keep_s=300.0, keep_fine_s=3_600.0, coarse_s=1_800.0)
DAY_S = 86_400
NOW_US = 1_760_000_000_000_000


def series(files: FaultyFiles | OsFiles, directory: Path = DIRECTORY) -> KeptSnapshots:
    return KeptSnapshots(directory, files, CONFIG, age_s=DAY_S)


def content(number: int) -> Content:
    return Content(b"cursor %d" % number, b"dedup" * number, b"state" * 1_000 * number)


def keep(kept: KeptSnapshots, number: int, event_us_min: int = NOW_US) -> None:
    now_us = NOW_US + number * 300_000_000
    kept.keep(
        content(number),
        now_us,
        received_us_max=now_us - 1,
        event_us_max=now_us + 5,
        event_us_min=event_us_min,
    )


def test_what_is_kept_comes_back_with_its_facts_in_a_new_process(tmp_path: Path) -> None:
    kept = series(OsFiles(), tmp_path)
    assert kept.is_due(NOW_US)
    keep(kept, 1)
    keep(kept, 2, event_us_min=NOW_US - 7)
    for each in (kept, series(OsFiles(), tmp_path)):
        first, second = each.entries()
        assert (each.load(first), each.load(second)) == (content(1), content(2))
        assert first.event_us_min == ANY_TIME, "what was before the series is unknown"
        assert second.event_us_min == NOW_US - 7
        assert second.received_us_max + 1 == second.made_us == second.event_us_max - 5
        assert not each.is_due(second.made_us + 299_999_999)
        assert each.is_due(second.made_us + 300_000_000)
        assert each.is_due(second.made_us - 300_000_000), "the clock was set back"


def fine(count: int, nbytes: int = 1) -> list[Kept]:
    """Five minutes apart, the last one now."""
    times = [NOW_US - 300_000_000 * back for back in reversed(range(count))]
    return [Kept(n + 1, t, t, t, 100 * n, nbytes) for n, t in enumerate(times)]


def test_older_ones_thin_out_and_too_old_ones_go() -> None:
    entries = fine(300)  # 25 hours
    left = thinned(entries, CONFIG, NOW_US, DAY_S)
    recent = [e for e in left if e.received_us_max >= NOW_US - 3_600_000_000]
    assert len(recent) == 13, "all of the last hour"
    older = [e.received_us_max for e in left if e not in recent]
    assert len({time // 1_800_000_000 for time in older}) == len(older), "one in half an hour"
    assert len(older) in (45, 46, 47)
    assert left[0].received_us_max >= NOW_US - DAY_S * 1_000_000


def test_who_stays_knows_the_oldest_event_of_all_before_it() -> None:
    entries = fine(60)
    old = replace_event(entries, 3, -50)
    left = thinned(old, CONFIG, NOW_US, DAY_S)
    keeper = next(e for e in left if e.number > 3)
    assert keeper.number > 4, "the one with the old event is gone"
    assert keeper.event_us_min == -50


def replace_event(entries: list[Kept], index: int, event_us_min: int) -> list[Kept]:
    from msgspec.structs import replace as changed

    return [
        *entries[:index],
        changed(entries[index], event_us_min=event_us_min),
        *entries[index + 1 :],
    ]


def test_bytes_beyond_the_limit_cost_detail_before_reach() -> None:
    entries = fine(100, nbytes=10)
    config = replace(CONFIG, keep_fine_s=1e9, kept_bytes_max=300)
    left = thinned(entries, config, NOW_US, DAY_S)
    assert sum(entry.nbytes for entry in left) == 300
    assert left[-1] == entries[-1]
    assert left[0] == entries[0], "the oldest of each half hour stay"
    config = replace(config, kept_bytes_max=25)
    assert [e.number for e in thinned(entries, config, NOW_US, DAY_S)][-1] == 100


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("call", range(1, 16))
def test_power_lost_in_any_call_leaves_whole_snapshots(call: int, seed: int) -> None:
    disk = FaultyFiles(seed)
    kept = series(disk)
    for number in (1, 2, 3):
        keep(kept, number)
    disk.stop_at(call)
    with contextlib.suppress(Stopped):
        keep(kept, 4)
    disk.power_loss()
    again = series(disk)
    entries = again.entries()
    found = [again.load(entry) for entry in entries]
    assert found[:3] == [content(1), content(2), content(3)]
    assert found[3:] in ([], [content(4)])
    for entry in entries[3:]:
        assert entry.event_us_min in (NOW_US, ANY_TIME), "unknown is the safe side"
    keep(again, 5)
    assert again.load(again.entries()[-1]) == content(5)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_disk_error_leaves_the_others_and_the_next_one_works(call: int) -> None:
    disk = FaultyFiles()
    kept = series(disk)
    keep(kept, 1)
    disk.fail(call)
    try:
        keep(kept, 2)
    except OSError:
        assert [entry.number for entry in kept.entries()] in ([1], [1, 2])
    disk.mend()
    keep(kept, 3)
    disk.power_loss()
    assert series(disk).load(series(disk).entries()[-1]) == content(3)


def test_a_nearly_full_disk_keeps_none() -> None:
    disk = FaultyFiles()
    kept = series(disk)
    keep(kept, 1)
    disk.free_bytes = CONFIG.disk_free_bytes_min - 1
    with pytest.raises(OSError, match=r"past\.disk_free_bytes_min"):
        keep(kept, 2)
    assert [entry.number for entry in kept.entries()] == [1]


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_lost_index_costs_the_knowledge_of_stretches_alone(tmp_path: Path, damage: str) -> None:
    kept = series(OsFiles(), tmp_path)
    for number in (1, 2, 3):
        keep(kept, number)
    index = tmp_path / "index"
    data = bytearray(index.read_bytes())
    data[-1] ^= 1
    index.write_bytes(data[: 9 if damage == "cut" else len(data)])
    if damage == "gone":
        index.unlink()
    again = series(OsFiles(), tmp_path)
    assert [again.load(entry) for entry in again.entries()] == [content(n) for n in (1, 2, 3)]
    assert {entry.event_us_min for entry in again.entries()} == {ANY_TIME}


def test_a_file_that_went_makes_the_stretches_unknown_and_a_damaged_one_is_none(
    tmp_path: Path,
) -> None:
    kept = series(OsFiles(), tmp_path)
    for number in (1, 2, 3):
        keep(kept, number)
    files = sorted(tmp_path.glob("*.kept"))
    files[1].unlink()
    data = bytearray(files[2].read_bytes())
    data[60] ^= 1
    files[2].write_bytes(data)
    again = series(OsFiles(), tmp_path)
    first, third = again.entries()
    assert (again.load(first), again.load(third)) == (content(1), None)
    assert third.event_us_min == ANY_TIME
