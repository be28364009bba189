"""Opening a past instant of a large fleet: its cost, and what a kept snapshot weighs.

A fleet whose every vehicle has told 30 signals (seeded, two decimals) is kept as a snapshot; then
the log holds `--seconds` of telemetry at `--rate` records a second, 7 signals of JSON each, with
sequences. Printed: bytes of the snapshot per vehicle, CPU of making it (the follower's thread, the
disk's thread), CPU and seconds of restoring it, of opening an instant at the log's end, and of
playing on by half a second. `python -m benchmarks.past [--vehicles N] [--rate R] [--seconds S]`.

Needs about 300 B of disk per record below the current directory, and gives it back.
"""

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from motorcade import compiled
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import (
    RECORD_DTYPE,
    Encoding,
    Flags,
    RecordBatch,
    Topic,
    fnv1a_64,
    make_token,
    pack_token,
)
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.port import Edge
from motorcade.log.topics import Lane
from motorcade.signals.catalogue import BY_ID
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import TOPICS, Follower
from motorcade.state.kept import Content, KeptSnapshots
from motorcade.state.past import Past
from motorcade.state.port import Mode
from motorcade.state.snapshots import SnapshotStore
from motorcade.streams.dedup import Dedup

BATCH = 16_384
SIGNALS = 30
START_US = 1_760_000_000_000_000
PAYLOAD = (
    b'{"time_us":%016d,"signals":{"VehicleSpeed":27.%03d,"Soc":81.25,"Odometer":123456.7,'
    b'"InsideTemp":21.5,"OutsideTemp":9.5,"Latitude":60.1699,"Longitude":24.9384}}'
)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Stopwatch:
    """CPU and wall seconds since it was made, printed."""

    def __init__(self) -> None:
        self._cpu_s, self._wall_s = cpu_s(), time.monotonic()

    def tell(self, what: str, per: int = 0) -> float:
        spent_s, passed_s = cpu_s() - self._cpu_s, time.monotonic() - self._wall_s
        each = f", {spent_s * 1e6 / per:.2f} us of CPU each of {per:,}" if per else ""
        print(f"{what}: {spent_s:.2f} s of CPU, {passed_s:.2f} s{each}", flush=True)
        return spent_s


def tokens_of(count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    return [pack_token(make_token(rng.bytes(16))) for _ in range(count)]


def write(
    log: EmbeddedLog, tokens: list[tuple[int, int]], payload_of: object, times_us: np.ndarray
) -> None:
    """Records of the vehicles in turn, one per entry of `times_us`, as the gateway would."""
    writer = log.writer("gateway", Lane.BULK)
    high = np.array([token[0] for token in tokens], np.uint64)
    low = np.array([token[1] for token in tokens], np.uint64)
    for first in range(0, len(times_us), BATCH):
        times = times_us[first : first + BATCH]
        index = np.arange(first, first + len(times))
        bodies = [payload_of(int(i), int(t)) for i, t in zip(index, times, strict=True)]  # type: ignore[operator]
        sizes = np.array([len(body) + 1 for body in bodies])
        rows = np.zeros(len(times), RECORD_DTYPE)
        rows["vehicle_hi"], rows["vehicle_lo"] = high[index % len(high)], low[index % len(low)]
        rows["event_time_us"] = rows["received_time_us"] = times
        rows["identity_hi"], rows["identity_lo"] = fnv1a_64(b"s"), index // len(high)
        rows["start"] = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        rows["payload_bytes"], rows["stream_bytes"] = sizes - 1, 1
        rows["topic"], rows["encoding"] = Topic.TELEMETRY, Encoding.JSON_SIGNALS
        rows["flags"] = Flags.IDENTITY_SEQUENCE | Flags.TIME_GIVEN
        buffer = np.frombuffer(b"".join(b"s" + body for body in bodies), np.uint8)
        writer.append(RecordBatch(rows, buffer)).result(60)
    writer.close()


def first_words(rng: np.random.Generator, vehicles: int) -> object:
    """What each vehicle tells at first: all its signals, with values of two decimals."""
    names = [signal.name for signal in list(BY_ID.values()) if signal.kind.name == "NUMBER"]
    values = np.round(rng.normal(20, 5, (vehicles, SIGNALS)), 2)

    def payload_of(index: int, time_us: int) -> bytes:
        told = dict(zip(names[:SIGNALS], values[index].tolist(), strict=True))
        return msgspec.json.encode({"time_us": time_us, "signals": told})

    return payload_of


def later_words(index: int, time_us: int) -> bytes:
    return PAYLOAD % (time_us, index % 1_000)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vehicles", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        measure(Path(directory), options.vehicles, options.rate, options.seconds)


def measure(directory: Path, vehicles: int, rate: int, seconds: int) -> None:
    compiled.warm_imported()
    config = Config()
    config = replace(
        config,
        past=replace(config.past, keep_s=0.0, disk_free_bytes_min=0, open_s_max=600.0),
        log=replace(config.log, retention_bulk_age_s=10**9),  # its records are of last year
    )
    rng, clock = np.random.default_rng(1), SystemClock()
    log = EmbeddedLog(directory / "log", config.log, clock)
    tokens = tokens_of(vehicles, rng)
    times_us = START_US + np.sort(rng.integers(0, 60_000_000, vehicles))
    write(log, tokens, first_words(rng, vehicles), times_us)
    state = EmbeddedLiveState(config)
    follower = Follower(
        log,
        state,
        lambda: Dedup(config.dedup),
        SnapshotStore(directory / "state", OsFiles()),
        clock,
        snapshot_s=1e9,
        snapshot_records=1 << 62,
        failed=lambda error: sys.exit(str(error)),
    )
    reader = log.reader(TOPICS, Edge.EARLIEST)
    while slices := reader.poll(0.0):
        for part in slices:
            follower.apply(part)
    reader.close()
    watch = Stopwatch()
    saved = follower._save_all()
    watch.tell("a snapshot's making, on the follower's thread (as for each ordinary one)")
    print(
        f"  {len(saved.state) / vehicles:.0f} B of state per vehicle, {len(saved.dedup):,} of dedup"
    )
    kept = KeptSnapshots(directory / "kept", OsFiles(), config.past, age_s=10**9)
    watch = Stopwatch()
    kept.keep(
        Content(saved.cursor, saved.dedup, saved.state),
        clock.now_us(),
        received_us_max=saved.received_us_max,
        event_us_max=saved.received_us_max,
        event_us_min=saved.event_us_min,
    )
    watch.tell("its keeping, on the disk's thread")
    (entry,) = kept.entries()
    print(f"  {entry.nbytes / 1e6:.1f} MB on disk, {entry.nbytes / vehicles:.0f} B per vehicle")
    count = rate * seconds
    base_us = START_US + 60_000_000
    write(log, tokens, later_words, base_us + np.arange(1, count + 1) * 1_000_000 // rate)
    past = Past(config, log, kept, lambda: Dedup(config.dedup), clock)
    watch = Stopwatch()
    past.open(base_us)
    watch.tell("opened at the snapshot: reading and restoring it")
    for mode in Mode:
        at_us = base_us + (seconds - 1) * 1_000_000
        watch = Stopwatch()
        opened = past.open(at_us, mode, own=True)
        watch.tell(f"opened {seconds} s later, as {mode.value}", opened.records)
        print(f"  {opened.allocated_bytes / 1e6:.0f} MB in memory")
        watch = Stopwatch()
        opened = past.advance(opened, at_us + 500_000)
        watch.tell("played on by half a second", rate // 2)
    past.close()
    log.close()


if __name__ == "__main__":
    main()
