"""One vehicle's hour, ten signals, out of 100 million rows: beside DuckDB and a scan of Parquet.

Claims (docs/measurements.md): 8 ms or less in the median, 40 bytes or less of disk for a row of ten
columns. The rows are `noisy_fleet.py`'s. They go through history's own `ColumnWriter` into files of
an hour each, as merging leaves them, under a manifest; the log is empty, and looked into at each
question as always. Then the same questions (a vehicle and the begin of an hour by chance, so that
it lies in two files) go in turn to

* ours: `EmbeddedHistory.read`, one thread, as the API has it;
* DuckDB with a table of its own, loaded from the same files;
* DuckDB over our files; and pyarrow's reader with a filter and without our index (fewer questions).

All answers are compared. Last, the fleet's timeline of a day in 120 buckets: from runs, and by a
scan of all samples. Everything is in the page cache, for all alike.

    python -m benchmarks.history [--rows 100000000] [--vehicles 1000] [--spacing-s 1]
        [--questions 200] [--jobs CORES] [--no-table]

Needs 45 bytes of disk per row below the current directory, as much again for DuckDB's table, and
gives it back.
"""

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import MachineTimes, describe
from benchmarks.noisy_fleet import HOUR_US, SCHEMA, SIGNALS, START_US, NoisyFleet
from motorcade import compiled
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import VehicleToken, unpack_token
from motorcade.history import manifest as manifests
from motorcade.history.across import timeline as scanned_timeline
from motorcade.history.columns import ColumnWriter
from motorcade.history.embedded import EmbeddedHistory
from motorcade.history.layout import NUMBER, TIME, VEHICLE, column_name
from motorcade.history.manifest import FileRow, Manifest, column_path
from motorcade.history.port import Span
from motorcade.history.reading import reading_after
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.streams.dedup import Dedup

MS_WANTED = 8.0
BYTES_WANTED = 40.0
ROW_BYTES_MAX = 45  # of disk, planned for
SLOW_EVERY = 10  # peers that read whole files get one question in so many
WARM_UP = 20
SEED = 6
COLUMNS = [column_name(NUMBER, name) for name in SIGNALS]
NAMES = ", ".join(f'"{name}"' for name in [TIME, *COLUMNS])
WHERE = f"WHERE {VEHICLE} = $1 AND {TIME} >= $2 AND {TIME} < $3"

Question = tuple[VehicleToken, Span]
Answer = tuple[int, float]  # rows, and the sum of all values, as a check


def cpu_s() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


class Stopwatch:
    """Wall and CPU seconds since it was made; what the machine did meanwhile."""

    def __init__(self) -> None:
        self._cpu_s, self._wall_s, self._machine = cpu_s(), time.monotonic(), MachineTimes.read()

    def tell(self, what: str) -> float:
        wall_s, spent_s = time.monotonic() - self._wall_s, cpu_s() - self._cpu_s
        disturbed = MachineTimes.read().since(self._machine, spent_s * 1e6)
        print(f"{what}: {wall_s:.2f} s, {spent_s:.2f} s of CPU ({disturbed})", flush=True)
        return spent_s


def write_hour(
    directory: Path, fleet: NoisyFleet, hour: int, rows_each: int, moving_mps: float
) -> FileRow:
    """One file, as merging an hour's files makes it."""
    writer = ColumnWriter(OsFiles(), column_path(directory, hour + 1), SCHEMA, moving_mps)
    for rows in fleet.hour(hour, rows_each):
        writer.add(rows)
    return FileRow(hour + 1, *writer.finish(), tier=3, moving_mps=moving_mps)


def write(directory: Path, fleet: NoisyFleet, rows: int, jobs: int, config: Config) -> Manifest:
    files, moving_mps = OsFiles(), config.dashboard.moving_speed_mps
    files.make_directory(directory)
    left = max(1, rows // fleet.vehicles)
    each = []
    while left:
        each.append(min(left, fleet.rows_per_hour))
        left -= each[-1]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(write_hour, directory, fleet, hour, rows_each, moving_mps)
            for hour, rows_each in enumerate(each)
        ]
        made = [future.result() for future in futures]
    known = Manifest(files=made, next_order=rows, next_number=len(made) + 1)
    manifests.store(files, directory, known, 1)
    return known


class Asked:
    """One who answers, and how long that took."""

    def __init__(self, name: str, answer: Callable[[Question], Answer], every: int) -> None:
        self.name, self.every = name, every
        self._answer = answer
        self._wall_ms: list[float] = []
        self._cpu_ms = 0.0

    def ask(self, question: Question) -> Answer:
        before_s, cpu_before_s = time.perf_counter(), cpu_s()
        found = self._answer(question)
        self._cpu_ms += (cpu_s() - cpu_before_s) * 1e3
        self._wall_ms.append((time.perf_counter() - before_s) * 1e3)
        return found

    def forget(self) -> None:
        self._wall_ms, self._cpu_ms = [], 0.0

    @property
    def p50_ms(self) -> float:
        return statistics.median(self._wall_ms)

    def tell(self, ours_ms: float) -> None:
        p99_ms = float(np.percentile(self._wall_ms, 99))
        each_ms = self._cpu_ms / len(self._wall_ms)
        print(
            f"  {self.name:34} p50 {self.p50_ms:8.2f} ms   p99 {p99_ms:8.2f} ms   CPU "
            f"{each_ms:8.2f} ms   {self.p50_ms / ours_ms:6.1f} x   ({len(self._wall_ms)} questions)"
        )


def total(columns: Any) -> float:
    return round(float(sum(np.sum(column) for column in columns)), 3)


def our_answer(history: EmbeddedHistory) -> Callable[[Question], Answer]:
    def answer(question: Question) -> Answer:
        found = history.read(question[0], SIGNALS, question[1])
        rows = len(next(iter(found.values())))
        return rows, total(found[name].value for name in SIGNALS)

    return answer


def duckdb_answer(connection: Any, source: str) -> Callable[[Question], Answer]:
    def answer(question: Question) -> Answer:
        token, span = question
        text = f"SELECT {NAMES} FROM {source} {WHERE}"  # by time already, as it was inserted
        found = connection.execute(text, [token, span.from_us, span.until_us]).fetchnumpy()
        return len(found[TIME]), total(found[name] for name in COLUMNS)

    return answer


def scan_answer(paths: list[str]) -> Callable[[Question], Answer]:
    def answer(question: Question) -> Answer:
        token, span = question
        filters = [(VEHICLE, "==", token), (TIME, ">=", span.from_us), (TIME, "<", span.until_us)]
        found = pq.read_table(paths, columns=[TIME, *COLUMNS], filters=filters)
        return len(found), total(found.column(name).to_numpy() for name in COLUMNS)

    return answer


def questions(fleet: NoisyFleet, until_us: int, count: int) -> list[Question]:
    chance = np.random.default_rng(SEED)
    tokens = fleet.tokens()
    last_us = max(START_US, until_us - HOUR_US)
    found = []
    for _ in range(count):
        from_us = int(chance.integers(START_US, last_us + 1))
        token = unpack_token(*tokens[int(chance.integers(len(tokens)))])
        found.append((token, Span(from_us, from_us + HOUR_US)))
    return found


def measure_timeline(
    history: EmbeddedHistory, directory: Path, known: Manifest, config: Config, log: EmbeddedLog
) -> None:
    until_us = max(row.to_us for row in known.files) + 1
    span, moving_mps = Span(until_us - 24 * HOUR_US, until_us), config.dashboard.moving_speed_mps
    watch = Stopwatch()
    ours = history.timeline(None, span, 120, moving_mps=moving_mps)
    watch.tell("a day's timeline in 120 buckets, from runs")
    paths = [column_path(directory, row.number) for row in known.files if row.to_us >= span.from_us]
    unlimited = replace(config.history, query_s_max=1e6, query_bytes_max=8 << 30)
    reading = reading_after(known, OsFiles(), directory, log, config, lambda: Dedup(config.dedup))
    watch = Stopwatch()
    peers = scanned_timeline(paths, ([], reading), None, span, 120, moving_mps, unlimited)
    watch.tell("... by a scan of all its samples")
    reading.close()
    assert ours == peers


def measure(directory: Path, options: argparse.Namespace) -> bool:
    config, clock = Config(), SystemClock()
    fleet = NoisyFleet(options.vehicles, options.spacing_s, SEED)
    folder = directory / "history"
    watch = Stopwatch()
    known = write(folder, fleet, options.rows, options.jobs, config)
    rows = sum(row.rows for row in known.files)
    spent_s = watch.tell(f"{rows:,} rows of {len(SIGNALS)} signals, made and written")
    each = sum(row.bytes for row in known.files) / rows
    runs = sum(path.stat().st_size for path in folder.glob("*.runs")) / rows
    print(
        f"  {each:.1f} B of disk per row in {len(known.files)} files, wanted <= {BYTES_WANTED:.0f} "
        f"({runs:.2f} of it runs); {spent_s * 1e6 / rows:.2f} us of CPU per row"
    )
    compiled.warm_imported()
    log = EmbeddedLog(directory / "log", config.log, clock)
    history = EmbeddedHistory(
        folder,
        config,
        log,
        lambda: Dedup(config.dedup),
        clock,
        OsFiles(),
        lambda path: pa.memory_map(str(path)),
    )
    paths = [str(column_path(folder, row.number)) for row in known.files]
    files = "read_parquet([" + ", ".join(f"'{path}'" for path in paths) + "])"
    connection = duckdb.connect(str(directory / "own.duckdb"))
    connection.execute("SET parquet_metadata_cache = true")
    asked = [Asked("ours", our_answer(history), 1)]
    if options.table:
        watch = Stopwatch()
        connection.execute(f"CREATE TABLE own AS SELECT {VEHICLE}, {NAMES} FROM {files}")
        connection.execute("CHECKPOINT")
        watch.tell("DuckDB loaded its own table")
        size = (directory / "own.duckdb").stat().st_size
        print(f"  {size / rows:.1f} B of disk per row, without order and received time")
        asked.append(Asked("DuckDB, its own table", duckdb_answer(connection, "own"), 1))
    asked.append(Asked("DuckDB over our files", duckdb_answer(connection, files), SLOW_EVERY))
    asked.append(Asked("pyarrow, without our index", scan_answer(paths), SLOW_EVERY))
    until_us = max(row.to_us for row in known.files)
    todo = questions(fleet, until_us, options.questions + WARM_UP)
    for question in todo[:WARM_UP]:
        asked[0].ask(question)
    for one in asked[1:]:
        one.ask(todo[0])
    for one in asked:
        one.forget()
    watch = Stopwatch()
    for number, question in enumerate(todo[WARM_UP:]):
        answers = {one.ask(question) for one in asked if number % one.every == 0}
        assert len(answers) == 1, f"{question} is answered by {answers}"
    watch.tell("all questions")
    for one in asked:
        one.tell(asked[0].p50_ms)
    measure_timeline(history, folder, known, config, log)
    history.close()
    log.close()
    connection.close()
    met = asked[0].p50_ms <= MS_WANTED and each <= BYTES_WANTED
    print(
        f"wanted: p50 <= {MS_WANTED} ms, <= {BYTES_WANTED} B per row: {'met' if met else 'MISSED'}"
    )
    return met


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--vehicles", type=int, default=1_000)
    parser.add_argument("--spacing-s", type=float, default=1.0)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--no-table", dest="table", action="store_false")
    options = parser.parse_args()
    needed = options.rows * ROW_BYTES_MAX * (2 if options.table else 1)
    free = shutil.disk_usage(Path.cwd()).free
    if free < needed:
        sys.exit(f"{needed >> 20} MiB of disk are needed, {free >> 20} are free: fewer --rows")
    print(describe())
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".history-") as directory:
        met = measure(Path(directory), options)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
