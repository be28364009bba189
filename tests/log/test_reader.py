"""The reader over several lanes: other processes, dead writers, damage, order of lanes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock, SystemClock
from motorcade.config import LogConfig
from motorcade.events import Record, RecordBatch, Topic
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.port import AtTime, Edge, LogReader
from motorcade.log.segment import segment_path
from motorcade.log.topics import Lane
from tests.log.lanes import SMALL, START_US, batch, numbers, record

ALL = frozenset(Topic)
WAIT_S = 30.0
ROOMY = LogConfig(
    partitions=4,
    reader_chunk_bytes=1,  # a slice is a frame
    retention_bulk_age_s=10**9,
)

READ_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from motorcade.clock import SystemClock
from motorcade.config import LogConfig
from motorcade.events import Topic
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.port import Edge

config = LogConfig(partitions=4, retention_bulk_age_s=10**9)
log = EmbeddedLog(Path(sys.argv[1]), config, SystemClock())
reader = log.reader(frozenset(Topic), Edge.EARLIEST)
print("ready", flush=True)
left = int(sys.argv[2])
while left:
    for each in reader.poll(1.0):
        for one in each.batch:
            print(one.sequence, one.payload.decode(), flush=True)
            left -= 1
"""

WRITE_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from motorcade.clock import SystemClock
from motorcade.config import LogConfig
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane
from tests.log.lanes import batch

config = LogConfig(partitions=4, retention_bulk_age_s=10**9)
log = EmbeddedLog(Path(sys.argv[1]), config, SystemClock())
writer = log.writer("gateway", Lane.BULK)
start = int(sys.argv[2])
while True:
    writer.append(batch(start, 3)).result()
    start += 3
    print(start, flush=True)
"""


def python(source: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log", ROOMY, SystemClock())
    yield log
    log.close()


def read_all(reader: LogReader) -> list[Record]:
    found: list[Record] = []
    while slices := reader.poll(0.0):
        found.extend(one for each in slices for one in each.batch)
    return found


def test_another_process_tails_what_this_one_writes(log: EmbeddedLog, tmp_path: Path) -> None:
    with python(READ_IN_ANOTHER_PROCESS, tmp_path / "log", 60) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        writer = log.writer("gateway", Lane.BULK)
        for start in range(0, 60, 6):
            writer.append(batch(start, 6)).result(WAIT_S)
        lines = [child.stdout.readline() for _ in range(60)]
        assert lines == [f"{number} payload {number}\n" for number in range(60)]
        assert child.wait(WAIT_S) == 0


def test_a_killed_writers_acknowledged_records_are_read_with_and_without_a_new_one(
    log: EmbeddedLog, tmp_path: Path
) -> None:
    acked = 0
    for _ in range(3):
        with python(WRITE_IN_ANOTHER_PROCESS, tmp_path / "log", acked) as child:
            assert child.stdout is not None
            reader = log.reader(ALL, Edge.EARLIEST)  # tails while the writer lives
            for _ in range(20):
                acked = int(child.stdout.readline())
            seen = read_all(reader)
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split()
        acked = int(rest[-1]) if rest else acked
        found = read_all(log.reader(ALL, Edge.EARLIEST))
        assert found[: len(seen)] == seen
        assert numbers(found)[:acked] == list(range(acked))
        assert len(found) in (acked, acked + 3)  # one commit may have been on its way
        acked = len(found)
        assert numbers(seen + read_all(reader))[:acked] == list(range(acked))
        reader.close()


def test_records_given_before_the_damage_come_first_and_other_lanes_go_on(
    log: EmbeddedLog, tmp_path: Path
) -> None:
    bulk, fast = log.writer("gateway", Lane.BULK), log.writer("gateway", Lane.FAST)
    for start in range(0, 9, 3):
        bulk.append(batch(start, 3)).result(WAIT_S)
    command = RecordBatch.of([record(100, topic=Topic.COMMANDS)])
    fast.append(command).result(WAIT_S)
    path = segment_path(tmp_path / "log" / "gateway-bulk", 1)
    content = bytearray(path.read_bytes())
    content[content.index(b"payload 4")] ^= 1
    path.write_bytes(content)

    reader = log.reader(ALL, Edge.EARLIEST)
    given = [one for each in reader.poll(0.0) for one in each.batch]
    assert numbers(given) == [100, 0, 1, 2]
    with pytest.raises(LogCorruptError, match=r"000000000001\.segment: frame checksum"):
        reader.poll(0.0)
    fast.append(command).result(WAIT_S)
    assert numbers([one for each in reader.poll(0.0) for one in each.batch]) == [100]
    with pytest.raises(LogCorruptError):
        reader.poll(0.0)
    reader.skip_damage()
    assert numbers(read_all(reader)) == [6, 7, 8]


def test_the_fast_lane_comes_first_however_much_bulk_waits(log: EmbeddedLog) -> None:
    bulk, fast = log.writer("a", Lane.BULK), log.writer("z", Lane.FAST)
    for start in range(0, 30, 3):
        bulk.append(batch(start, 3)).result(WAIT_S)
    fast.append(RecordBatch.of([record(100, topic=Topic.COMMANDS)])).result(WAIT_S)
    reader = log.reader(ALL, Edge.EARLIEST)
    assert reader.poll(0.0)[0].lane is Lane.FAST


def test_a_poll_is_bounded(tmp_path: Path) -> None:
    config = replace(ROOMY, reader_bytes_max=3_000)
    log = EmbeddedLog(tmp_path / "log", config, SystemClock())
    writer = log.writer("gateway", Lane.BULK)
    for start in range(0, 300, 3):
        writer.append(batch(start, 3)).result(WAIT_S)
    reader = log.reader(ALL, Edge.EARLIEST)
    slices = reader.poll(0.0)
    assert 3_000 <= sum(each.batch.buffer.nbytes for each in slices) < 4_000
    assert numbers(read_all(log.reader(ALL, slices[-1].cursor)))[0] == 3 * len(slices)
    log.close()


def test_a_new_writer_is_found_by_a_busy_reader_too(log: EmbeddedLog) -> None:
    busy = log.writer("busy", Lane.BULK)
    reader = log.reader(ALL, Edge.LATEST)
    log.writer("new", Lane.BULK).append(batch(0, 3)).result(WAIT_S)
    writers = set()
    for start in range(0, 400, 2):
        busy.append(batch(start, 2)).result(WAIT_S)
        writers.update(each.writer for each in reader.poll(WAIT_S))
    assert writers == {"busy", "new"}


def test_a_time_holds_for_writers_that_come_later_too(log: EmbeddedLog) -> None:
    reader = log.reader(ALL, AtTime(record(5).received_time_us))
    log.writer("new", Lane.BULK).append(batch(0, 10)).result(WAIT_S)
    assert numbers(read_all(reader)) == list(range(5, 10))


def test_a_cursor_that_names_a_lane_we_do_not_have_is_refused(
    log: EmbeddedLog, tmp_path: Path
) -> None:
    log.writer("gateway", Lane.BULK).append(batch(0, 3)).result(WAIT_S)
    cursor = log.end(ALL)
    other = EmbeddedLog(tmp_path / "other", SMALL, SystemClock())
    with pytest.raises(CursorError, match="gateway-bulk"):
        other.reader(ALL, cursor)
    assert list((tmp_path / "other" / "doorbells").iterdir()) == []  # nothing is left behind


def test_a_new_writer_that_never_rings_is_found_within_a_second(tmp_path: Path) -> None:
    """It died between its commit and its ring, say."""
    clock = SimulatedClock(START_US)
    log = EmbeddedLog(tmp_path / "log", SMALL, clock)
    reader = log.reader(ALL, Edge.EARLIEST)
    assert reader.poll(0.0) == []
    for bell in (tmp_path / "log" / "doorbells").iterdir():
        bell.unlink()
    log.writer("gateway", Lane.BULK).append(batch(1, 1)).result(WAIT_S)
    assert reader.poll(0.0) == []
    clock.advance(1.0)
    (found,) = reader.poll(0.0)
    assert numbers(list(found.batch)) == [1]
    log.close()
