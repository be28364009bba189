"""The follower on a real log: restores, replays, duplicates, damage; in threads and processes."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SimulatedClock
from motorcade.config import DedupConfig
from motorcade.events import Record, RecordBatch
from motorcade.log.port import Cursor, LogSlice
from motorcade.log.topics import Lane
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import Follower
from motorcade.state.snapshots import SnapshotStore
from motorcade.streams.dedup import Dedup
from tests.faulty_files import FaultyFiles
from tests.state.deployment import CONFIG, Deployment
from tests.state.records import FLEET, START_US, any_record, signals, tesla

CAR = FLEET[0]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    made.open_writer()
    yield made
    made.log.close()


def sent(number: int, value: float, **fields: int) -> Record:
    return msgspec.structs.replace(signals(CAR, number, soc=value), stream=b"s", sequence=number)


def test_what_is_in_the_log_and_what_comes_is_in_the_state(deployment: Deployment) -> None:
    deployment.append(tesla(CAR, 1, soc=1.0))
    follower, state = deployment.follower()
    heard: list[object] = []
    follower.start()
    assert follower.caught_up.wait(30)
    assert state.read(CAR).signals["soc"].value == 1.0
    came = threading.Event()
    state.subscribe(CAR, lambda changes: (heard.extend(changes), came.set()))  # type: ignore[arg-type,func-returns-value]
    deployment.append(tesla(CAR, 2, soc=2.0))
    assert came.wait(30)
    assert state.read(CAR).signals["soc"].value == 2.0
    follower.stop()
    assert len(heard) == 1


def test_duplicates_change_nothing(deployment: Deployment) -> None:
    deployment.append(sent(1, 1.0), sent(2, 2.0), sent(1, 99.0))
    state, _ = deployment.run()
    assert state.read(CAR).signals["soc"].value == 2.0
    late = msgspec.structs.replace(signals(CAR, 9, soc=3.0), stream=b"s", sequence=2)
    deployment.append(late)
    state, _ = deployment.run()
    assert state.read(CAR).signals["soc"].value == 2.0, "dedup's memory came with the snapshot"


def test_a_restart_goes_on_from_the_snapshot(deployment: Deployment) -> None:
    deployment.append(tesla(CAR, 1, soc=1.0))
    deployment.run()
    follower, state = deployment.follower()
    cursor = follower.restore()
    assert cursor is not None
    assert state.read(CAR).signals["soc"].value == 1.0
    deployment.append(tesla(CAR, 2, soc=2.0))
    state, _ = deployment.run()
    assert state.read(CAR).signals["soc"].value == 2.0


@pytest.mark.parametrize("damage", ["newest", "all", "version"])
def test_damaged_snapshots_cost_time_but_change_nothing(
    deployment: Deployment, damage: str
) -> None:
    for number in range(1, 4):
        deployment.append(sent(number, number / 2), tesla(CAR, number, unknown=number))
        _, body = deployment.run()
    paths = sorted((deployment.directory / "state").iterdir())
    assert len(paths) == 2
    for path in paths if damage == "all" else paths[-1:]:
        path.write_bytes(path.read_bytes()[:-1])
    if damage == "version":
        deployment.snapshots.save(b"\x93 of another time")
    assert deployment.run()[1] == body


@pytest.mark.parametrize("often", [{"snapshot_s": 0.0}, {"snapshot_records": 2}])
def test_snapshots_by_time_and_by_records(deployment: Deployment, often: dict[str, Any]) -> None:
    deployment.append(tesla(CAR, 1, soc=1.0), tesla(CAR, 2, soc=2.0))
    follower, _ = deployment.follower(**often)
    follower.start()
    assert follower.caught_up.wait(30)
    while not list(deployment.snapshots.load()):  # written by a thread of its own
        assert deployment.failures == []
    follower.stop()
    assert next(iter(deployment.snapshots.load())) == follower.body()


def test_a_disk_that_refuses_snapshots_does_not_stop_the_state(deployment: Deployment) -> None:
    disk = FaultyFiles()
    deployment.snapshots = SnapshotStore(Path("/state"), disk)
    for call in range(1, 200):
        disk.fail(call)
    deployment.append(tesla(CAR, 1, soc=1.0))
    state, _ = deployment.run()
    assert state.read(CAR).signals["soc"].value == 1.0


def test_a_broken_state_is_reported_and_leaves_no_snapshot(deployment: Deployment) -> None:
    class Broken(EmbeddedLiveState):
        def apply(self, batch: RecordBatch, writer: str) -> None:
            raise RuntimeError("bug")

    deployment.append(tesla(CAR, 1, soc=1.0))
    follower, _ = deployment.follower()
    follower._state = Broken(CONFIG)
    follower.start()
    follower._thread.join(30)
    assert [str(error) for error in deployment.failures] == ["bug"]
    assert list(deployment.snapshots.load()) == []


def test_two_replays_in_two_processes_give_the_same_bytes(deployment: Deployment) -> None:
    rng = np.random.default_rng(7)
    for start in range(0, 400, 40):
        records = []
        for number in range(start, start + 40):
            token = FLEET[int(rng.integers(len(FLEET)))]
            at = int(rng.integers(100))
            record = signals(token, at, soc=number, gear="D", text=f"text {at}", **{f"n{at}": 1})
            records.append(
                msgspec.structs.replace(record, stream=b"s", sequence=int(rng.integers(300)))
            )
            records.append(tesla(token, at, speed=number, unknown=at))
        deployment.append(*records)
    limits = ("1", str(32 << 20))
    digests = {replay(deployment.directory, limit) for limit in limits}
    assert len(digests) == 1


def replay(directory: Path, reader_bytes_max: str) -> str:
    """The digest of what another process makes of the log, reading so many bytes at a time."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.state.replay", str(directory), reader_bytes_max],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def slices(records: list[Record], cuts: list[int]) -> list[LogSlice]:
    edges = sorted({0, len(records), *(min(cut, len(records)) for cut in cuts)})
    return [
        LogSlice("gateway", Lane.BULK, RecordBatch.of(records[a:b]), Cursor(b"%d" % b))
        for a, b in itertools.pairwise(edges)
    ]


sequenced = st.builds(
    lambda record, number: (
        msgspec.structs.replace(record, stream=b"s", sequence=number) if record.vehicle else record
    ),
    any_record(),
    st.integers(0, 30),
)


@given(st.lists(any_record() | sequenced, min_size=1, max_size=25), st.lists(st.integers(0, 25)))
@settings(max_examples=50)
def test_snapshots_hold_the_same_bytes_whatever_the_cuts(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], cuts: list[int]
) -> None:
    bodies = []
    for at in ([], cuts):
        follower = Follower(
            None,  # type: ignore[arg-type]  # the slices come by hand
            EmbeddedLiveState(CONFIG),
            lambda: Dedup(DedupConfig()),
            SnapshotStore(Path("/state"), FaultyFiles()),
            SimulatedClock(START_US),
            snapshot_s=1.0,
            snapshot_records=1,
            failed=lambda error: None,
        )
        for part in slices(records, at):
            follower.apply(part)
        bodies.append(follower.body())
    assert bodies[0] == bodies[1]


def test_between_two_looks_at_a_stream_there_is_a_rest_that_a_stop_ends(
    deployment: Deployment,
) -> None:
    looks: list[int] = []
    first = threading.Event()

    def applied(part: LogSlice, _begun_us: int) -> None:
        looks.append(len(part.batch))
        first.set()

    follower, _ = deployment.follower(spacing_s=3_600.0, applied=applied)
    follower.start()
    deployment.append(sent(1, 1.0))
    assert first.wait(30), "a lone record is taken at once"
    for number in range(2, 6):
        deployment.append(sent(number, number))
    follower.stop()
    assert looks == [1]
    state, _ = deployment.run()
    assert state.read(CAR).signals["soc"].value == 5.0
