"""Timelines from runs are those of the samples, wherever files are cut, merged, old or missing."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SimulatedClock
from motorcade.config import HistoryConfig
from motorcade.events import Record, VehicleToken
from motorcade.history import across, columns, manifest, merging, runs, timeline
from motorcade.history.embedded import EmbeddedHistory
from motorcade.history.errors import HistoryDamagedError, HistorySlowError
from motorcade.history.manifest import column_path
from motorcade.history.port import Span, Timeline
from motorcade.history.tail import Tail
from motorcade.history.timeline import gap_for
from motorcade.history.writer import HistoryWriter
from motorcade.streams.dedup import Dedup
from tests.faulty_files import FaultyFiles
from tests.history.deployment import CONFIG, Deployment
from tests.state.records import FLEET, START_US, signals

SECOND_US = 1_000_000
MOVING_MPS = CONFIG.dashboard.moving_speed_mps
SMALL = replace(CONFIG, history=replace(CONFIG.history, window_s=4, retired_s=0))
said = st.builds(
    lambda car, second, rest_us, values: signals(car, second * SECOND_US + rest_us, **values),
    st.sampled_from(FLEET[:3]),
    st.integers(0, 30),
    st.sampled_from([0, 1, 999_999]),
    st.dictionaries(
        st.sampled_from(["vehicle_speed", "soc", "tpms_hard_warning_front_left"]),
        st.sampled_from([None, 0, 0.5, 1, 9]),
        min_size=1,
    ),
)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path, SMALL)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (runs, timeline):
        monkeypatch.setattr(module, "GAPS_US", (2 * SECOND_US, 5 * SECOND_US))


def span_of(from_s: float, until_s: float) -> Span:
    return Span(START_US + round(from_s * 1e6), START_US + round(until_s * 1e6))


def scanned(
    deployment: Deployment, vehicles: set[VehicleToken] | None, span: Span, buckets: int
) -> Timeline:
    """The second opinion: DuckDB over all samples."""
    directory = deployment.directory / "history"
    loaded = manifest.load(deployment.files, directory)
    paths = [column_path(directory, row.number) for row in loaded.manifest.files]
    tail = Tail(directory, SMALL, deployment.log, lambda: Dedup(SMALL.dedup), deployment.files)
    try:
        found = tail.samples(loaded)
        return across.timeline(paths, found, vehicles, span, buckets, MOVING_MPS, SMALL.history)
    finally:
        tail.close()


def unscanned(history: EmbeddedHistory, span: Span, buckets: int) -> Timeline:
    """The answer from runs alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(across, "timeline")
        return history.timeline(None, span, buckets, moving_mps=MOVING_MPS)


def without_runs(deployment: Deployment) -> None:
    """As a version wrote them that knew of no runs."""
    directory = deployment.directory / "history"
    loaded = manifest.load(deployment.files, directory)
    rows = [msgspec.structs.replace(row, moving_mps=None) for row in loaded.manifest.files]
    old = msgspec.structs.replace(loaded.manifest, files=rows)
    manifest.store(deployment.files, directory, old, loaded.serial + 1_000)
    for path in directory.glob("*.runs"):
        path.unlink()


@settings(max_examples=20, deadline=None)
@given(st.lists(said, min_size=1, max_size=50), st.integers(0, 1 << 30))
def test_runs_tell_what_the_samples_tell(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], seed: int
) -> None:
    chance = random.Random(seed)
    deployment = Deployment(tmp_path_factory.mktemp("timeline"), SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "MERGED_MIN", chance.randint(2, 3))
        patch.setattr(merging, "CHUNK_ROWS", chance.randint(1, 8))
        patch.setattr(columns, "GROUP_ROWS", chance.randint(1, 6))
        patch.setattr(timeline, "WAITING_MAX", chance.randint(0, 20))
        patch.setattr(runs, "WAITING_MAX", chance.randint(0, 5))
        writer, left = deployment.history_writer(), list(records)
        while left:
            count = chance.randint(1, len(left))
            deployment.append(left[:count])
            del left[:count]
            if chance.random() < 0.8:
                writer.read_on()
                writer.flush()
            while chance.random() < 0.6 and writer.maintain():
                pass
            if chance.random() < 0.1:
                writer.close()
                without_runs(deployment)
                writer = deployment.history_writer()
            while chance.random() < 0.6 and writer.make_runs():
                pass
        history = deployment.history()
        for _ in range(2):
            from_s = chance.uniform(-3, 28)
            span = span_of(from_s, from_s + chance.uniform(0.5, 35))
            buckets = chance.randint(1, max(1, (span.until_us - span.from_us) // SECOND_US))
            vehicles = chance.choice([None, set(FLEET[:1]), set(FLEET[1:4]), set[VehicleToken]()])
            found = history.timeline(vehicles, span, buckets, moving_mps=MOVING_MPS)
            assert found == scanned(deployment, vehicles, span, buckets)
        writer.close()
        history.close()
        deployment.close()


def test_the_longest_gap_that_fits_the_buckets_is_taken() -> None:
    assert gap_for(span_of(0, 10), 2) == 5 * SECOND_US
    assert gap_for(span_of(0, 9.999_999), 2) == 2 * SECOND_US
    assert gap_for(span_of(0, 10), 5) == 2 * SECOND_US
    assert gap_for(span_of(0, 10), 6) is None


def drive(deployment: Deployment, writer: HistoryWriter, begin_s: int) -> None:
    """A drive of ten seconds, in a file of its own."""
    car = FLEET[begin_s // 10]
    deployment.append(
        [signals(car, (begin_s + at) * SECOND_US, vehicle_speed=9) for at in range(10)]
    )
    writer.read_on()
    writer.flush()


def test_files_of_before_get_their_runs_one_by_one(deployment: Deployment) -> None:
    writer = deployment.history_writer()
    drive(deployment, writer, 0)
    drive(deployment, writer, 10)
    writer.close()
    without_runs(deployment)
    writer, history = deployment.history_writer(), deployment.history()
    span = span_of(0, 20)
    wanted = Timeline([1, 1], [0, 0])
    assert history.timeline(None, span, 2, moving_mps=MOVING_MPS) == wanted
    with pytest.raises(AttributeError):
        unscanned(history, span, 2)
    before = writer.manifest.files
    assert writer.make_runs()
    assert unscanned(history, span_of(10, 20), 1) == Timeline([1], [0])  # the newest first
    assert writer.make_runs()
    assert not writer.make_runs()
    assert unscanned(history, span, 2) == wanted
    assert sum(row.bytes for row in writer.manifest.files) > sum(row.bytes for row in before)
    history.close()
    writer.close()


def test_another_speed_makes_them_anew(deployment: Deployment) -> None:
    writer = deployment.history_writer()
    drive(deployment, writer, 0)
    writer.close()
    dashboard = replace(SMALL.dashboard, moving_speed_mps=9.0)
    deployment.config = replace(SMALL, dashboard=dashboard)
    writer, history = deployment.history_writer(), deployment.history()
    span = span_of(0, 10)
    for _ in range(2):
        assert history.timeline(None, span, 1, moving_mps=9.0) == Timeline([0], [0])
        assert history.timeline(None, span, 1, moving_mps=MOVING_MPS) == Timeline([1], [0])
        writer.make_runs()
    assert [row.moving_mps for row in writer.manifest.files] == [9.0]
    history.close()
    writer.close()


def test_runs_go_with_their_file(deployment: Deployment) -> None:
    directory = deployment.directory / "history"
    writer = deployment.history_writer()
    drive(deployment, writer, 0)
    assert [path.suffix for path in sorted(directory.glob("0*1.*"))] == [
        ".index",
        ".parquet",
        ".reading",
        ".runs",
    ]
    deployment.clock.advance(2 * SMALL.history.retention_age_s)
    while writer.maintain():
        deployment.clock.advance(1)
    assert [path.name for path in directory.iterdir() if path.suffix != ".reading"] == ["manifest"]
    writer.close()


@pytest.mark.parametrize(("place", "buckets"), [(10, 1), (90, 5), (-9, 1)])
def test_damaged_runs_are_told_and_named(deployment: Deployment, place: int, buckets: int) -> None:
    """In the header, and in the part for the buckets that are asked for."""
    disk = FaultyFiles()
    deployment.files, deployment.real_disk = disk, False
    writer, history = deployment.history_writer(), deployment.history()
    drive(deployment, writer, 0)
    path = deployment.directory / "history" / "000000000001.runs"
    disk.damage(path, place % len(disk.content(path)), b"\xff\xff\xff")
    with pytest.raises(HistoryDamagedError, match=r"000000000001\.runs"):
        history.timeline(None, span_of(0, 10), buckets, moving_mps=MOVING_MPS)
    history.close()
    writer.close()


class Ticking(SimulatedClock):
    """A second passes at each look."""

    def monotonic_s(self) -> float:
        self.advance(1.0)
        return super().monotonic_s()


@pytest.mark.parametrize(
    "limits", [HistoryConfig(query_s_max=1.5), HistoryConfig(query_bytes_max=9)]
)
def test_a_timeline_ends_at_its_limits(deployment: Deployment, limits: HistoryConfig) -> None:
    writer = deployment.history_writer()
    for begin_s in (0, 10):
        drive(deployment, writer, begin_s)
    deployment.config, deployment.clock = replace(SMALL, history=limits), Ticking(START_US)
    history = deployment.history()
    with pytest.raises(HistorySlowError, match="ask for less time"):
        history.timeline(None, span_of(0, 20), 2, moving_mps=MOVING_MPS)
    history.close()
    writer.close()
