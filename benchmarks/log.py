"""The embedded log against SQLite with one blob per commit: CPU µs per record, and open time.

`python -m benchmarks.log [DIRECTORY] [RECORDS]`. Same records (200 bytes), same batch sizes, same
disk, one after the other in one process; SQLite in WAL with synchronous=FULL, so that both are
durable at each commit. CPU is of all our threads, the kernel's share included. Then 10 M records
(or RECORDS) are written, the writer is left as a kill leaves it, and the log is opened again.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from motorcade.clock import SystemClock
from motorcade.compiled import warm
from motorcade.config import LogConfig
from motorcade.events import RECORD_DTYPE, RecordBatch, Topic
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.port import Edge
from motorcade.log.topics import Lane

BATCH_SIZES = (1, 10, 50, 1_024, 8_192)
PAYLOAD_BYTES = 200
COMMITS_MAX = 2_000
BULK = frozenset({Topic.TELEMETRY})


@dataclass
class Cost:
    """Of `records` records."""

    cpu_us: float
    wall_us: float

    @staticmethod
    def of(work: Callable[[], int]) -> "Cost":
        cpu, wall = time.process_time(), time.perf_counter()
        records = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Cost(cpu / records * 1e6, wall / records * 1e6)


def make_batch(records: int) -> RecordBatch:
    rows = np.zeros(records, RECORD_DTYPE)
    rows["topic"] = Topic.TELEMETRY
    rows["partition"] = np.arange(records) % 64
    rows["start"] = np.arange(records) * PAYLOAD_BYTES
    rows["payload_bytes"] = PAYLOAD_BYTES
    rows["received_time_us"] = time.time_ns() // 1_000
    buffer = np.random.default_rng(1).integers(0, 256, records * PAYLOAD_BYTES, np.uint8)
    return RecordBatch(rows, buffer)


def append_to_log(log: EmbeddedLog, size: int, commits: int) -> int:
    writer = log.writer(f"bench{size}", Lane.BULK)
    batch = make_batch(size)
    for _ in range(commits):
        writer.append(batch).result()
    writer.close()
    return size * commits


def replay_log(log: EmbeddedLog, records: int) -> int:
    reader = log.reader(BULK, Edge.EARLIEST)
    found = 0
    while slices := reader.poll(0.0):
        found += sum(len(each.batch) for each in slices)
    reader.close()
    assert found == records, f"{found} of {records} records came back"
    return found


def append_to_sqlite(path: Path, size: int, commits: int) -> int:
    with_database = sqlite3.connect(path, isolation_level=None)
    with_database.execute("PRAGMA journal_mode=WAL")
    with_database.execute("PRAGMA synchronous=FULL")
    with_database.execute("CREATE TABLE commits (id INTEGER PRIMARY KEY, rows BLOB, buffer BLOB)")
    batch = make_batch(size)
    for _ in range(commits):
        values = (batch.rows.tobytes(), batch.buffer.data)
        with_database.execute("INSERT INTO commits (rows, buffer) VALUES (?, ?)", values)
    with_database.close()
    return size * commits


def replay_sqlite(path: Path, size: int) -> int:
    database = sqlite3.connect(path)
    found = 0
    for rows, buffer in database.execute("SELECT rows, buffer FROM commits ORDER BY id"):
        found += len(
            RecordBatch(np.frombuffer(rows, RECORD_DTYPE), np.frombuffer(buffer, np.uint8))
        )
    database.close()
    assert found % size == 0
    return found


def compare(directory: Path) -> Iterator[str]:
    yield "CPU µs per record     append: log  SQLite  ratio    replay: log  SQLite    ms per commit"
    for size in BATCH_SIZES:
        commits = max(50, min(COMMITS_MAX, 400_000 // size))
        log = EmbeddedLog(directory / f"log{size}", LogConfig(), SystemClock())
        path = directory / f"{size}.sqlite"
        ours = Cost.of(lambda: append_to_log(log, size, commits))  # noqa: B023
        theirs = Cost.of(lambda: append_to_sqlite(path, size, commits))  # noqa: B023
        back = Cost.of(lambda: replay_log(log, size * commits))  # noqa: B023
        their_back = Cost.of(lambda: replay_sqlite(path, size))  # noqa: B023
        log.close()
        yield (
            f"{size:6} per commit        {ours.cpu_us:8.2f} {theirs.cpu_us:7.2f}"
            f" {ours.cpu_us / theirs.cpu_us:6.2f}"
            f"       {back.cpu_us:8.2f} {their_back.cpu_us:7.2f}"
            f"       {ours.wall_us * size / 1e3:8.3f}"
        )


def time_opening(directory: Path, records: int) -> str:
    """Write, kill, open: the child is killed in the middle, so the last segment has no foot."""
    child = os.fork()
    if child == 0:
        log = EmbeddedLog(directory / "large", LogConfig(), SystemClock())
        writer = log.writer("gateway", Lane.BULK)
        batch = make_batch(8_192)
        for _ in range(-(-records // len(batch))):
            writer.append(batch).result()
        os._exit(0)  # No close: as after kill -9.
    os.waitpid(child, 0)
    log = EmbeddedLog(directory / "large", LogConfig(), SystemClock())
    start = time.perf_counter()
    writer = log.writer("gateway", Lane.BULK)
    opened_s = time.perf_counter() - start
    writer.close()
    replay = Cost.of(lambda: replay_log(log, -(-records // 8_192) * 8_192))
    log.close()
    return (
        f"{records:,} records: open after a kill {opened_s:.3f} s, "
        f"replay with checksum {replay.cpu_us:.3f} µs CPU per record"
    )


def main() -> None:
    base = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    records = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    directory = Path(tempfile.mkdtemp(dir=base))
    try:
        warm()
        print(describe())
        for line in compare(directory):
            print(line, flush=True)
        print(time_opening(directory, records))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
