"""A log of two writers with a live reader behind it that notes what it saw, and when (P4)."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity

from motorcade.clock import SystemClock
from motorcade.config import Config, DedupConfig, LogConfig, PastConfig, StateConfig
from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.port import Edge
from motorcade.log.topics import Lane
from motorcade.signals.catalogue import BY_ID
from motorcade.signals.samples import SampleBatch, present
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import TOPICS, Follower
from motorcade.state.kept import KeptSnapshots
from motorcade.state.past import Past
from motorcade.state.port import SignalValue, VehicleState
from motorcade.state.presence import GATEWAY_STARTED, PresenceTable
from motorcade.state.snapshots import SnapshotStore
from motorcade.streams.dedup import Dedup
from tests.signals.test_decoder import decoder
from tests.state.records import FLEET, PARTITIONS, START_US, any_record

WRITERS = ("api", "gateway")
CONFIG = Config(
    log=LogConfig(partitions=PARTITIONS),
    state=StateConfig(signals_per_vehicle_max=200),
    past=PastConfig(
        keep_s=0.0, keep_fine_s=1e10, coarse_s=1e-6, disk_free_bytes_min=0, settle_s=0.0
    ),
)

Dump = dict[VehicleToken, VehicleState]


@dataclass(frozen=True)
class Step:
    """Records that a writer commits together, `gap_us` after the ones before."""

    writer: str
    gap_us: int
    records: list[Record]
    keep: bool  # a snapshot after it
    restart: bool  # of the live reader, before it


def sequenced(record: Record, number: int | None) -> Record:
    if number is None or not record.vehicle:
        return record
    return msgspec.structs.replace(record, stream=b"s", sequence=number)


def early(record: Record, ahead_s: int) -> Record:
    """Of a clock that runs ahead: 400 s are beyond what is believed."""
    return msgspec.structs.replace(record, event_time_us=record.event_time_us + ahead_s * 1_000_000)


RECORDS = st.builds(
    early,
    st.builds(sequenced, any_record(), st.none() | st.integers(0, 5)),
    st.sampled_from([0, 0, 0, 0, 200, 400]),
)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(WRITERS),
        st.integers(0, 6),
        st.lists(RECORDS, min_size=1, max_size=5),
        st.booleans(),
        st.integers(0, 5).map(lambda one: one == 0),
    ),
    min_size=1,
    max_size=10,
)


@dataclass
class Voyage:
    """Use as a context. `seen`: what the live reader showed at which instants."""

    directory: Path
    config: Config = CONFIG
    seen: list[tuple[int, Dump]] = field(default_factory=list)
    kept_records: list[tuple[Record, str]] = field(default_factory=list)  # no duplicates

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.log = EmbeddedLog(self.directory / "log", self.config.log, clock)
        self.kept = self.look()
        self._writers = {name: self.log.writer(name, Lane.BULK) for name in WRITERS}
        self._now_us, self._last = START_US, ""
        self._oracle_dedup = self.dedup()
        self._follow()

    def __enter__(self) -> "Voyage":
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def look(self) -> KeptSnapshots:
        """The series as a new process finds it."""
        return KeptSnapshots(self.directory / "kept", OsFiles(), self.config.past, age_s=10**9)

    def dedup(self) -> Dedup:
        return Dedup(DedupConfig())

    def past(self) -> Past:
        return Past(self.config, self.log, self.look(), self.dedup, SystemClock())

    def _follow(self) -> None:
        self.live = EmbeddedLiveState(self.config)
        self.follower = Follower(
            self.log,
            self.live,
            self.dedup,
            SnapshotStore(self.directory / "state", OsFiles()),
            SystemClock(),
            snapshot_s=1.0,
            snapshot_records=1,
            failed=lambda error: None,
            kept=self.kept,
        )
        self.reader = self.log.reader(TOPICS, self.follower.restore() or Edge.EARLIEST)

    def run(self, steps: list[Step]) -> None:
        """All of it. Two writers never commit of the same instant: their order is nobody's."""
        for step in steps:
            gap_us = max(step.gap_us, 1) if step.writer != self._last else step.gap_us
            if gap_us and self._last:
                self._note(gap_us)
            self._now_us, self._last = self._now_us + gap_us, step.writer
            if step.restart:
                self.reader.close()
                self._follow()
            # A stream comes by one writer. By two, with other contents under one number, which of
            # them counts is the order of reading, and a restarted reader has another: 0033.
            stream = f"s-{step.writer}".encode()
            records = [
                msgspec.structs.replace(
                    record, received_time_us=self._now_us, stream=record.stream and stream
                )
                for record in step.records
            ]
            batch = RecordBatch.of(records)
            self._writers[step.writer].append(batch).result(10)
            self._apply()
            fresh = self._oracle_dedup.keep(batch, step.writer)
            self.kept_records += [
                (record, step.writer)
                for record, is_fresh in zip(batch, fresh.tolist(), strict=True)
                if is_fresh
            ]
            if step.keep:
                self.keep()
        self._note(1)
        # What two writers tell of one thing is the order of reading, too: 0033.
        assume(not any(step.restart for step in steps) or not self._is_contested())

    def _is_contested(self) -> bool:
        """Whether two writers told of one connection, or of one signal at one instant."""
        samples, ends, slots = self._decoded()
        rows = np.repeat(np.arange(len(slots)), np.diff(ends, prepend=0)).tolist()
        columns = (samples.vehicle, samples.signal, samples.time_us)
        told: dict[tuple[object, ...], str] = {}
        for row, *cell in zip(rows, *(column.tolist() for column in columns), strict=True):
            writer = self.kept_records[row][1]
            if told.setdefault(tuple(cell), writer) != writer:
                return True
        for record, writer in self.kept_records:
            if record.topic is Topic.CONNECTIVITY and record.vehicle:
                message = VehicleConnectivity.FromString(record.payload)
                connection = (record.vehicle, message.connection_id)
                if told.setdefault(connection, writer) != writer:
                    return True
        return False

    def _decoded(self) -> tuple[SampleBatch, np.ndarray, list[int]]:
        """The samples of all records, where each one's end, and the records' slots."""
        self._oracle = decoder(self.config.state.signals_per_vehicle_max)
        records = [record for record, _ in self.kept_records]
        slots = [FLEET.index(r.vehicle) if r.vehicle in FLEET else -1 for r in records]
        samples, ends = self._oracle.decode_rows(RecordBatch.of(records), np.array(slots, np.int32))
        return samples, ends, slots

    def keep(self) -> None:
        """A snapshot now, as the follower's threads do it."""
        saved = self.follower._save_all()
        assert self.follower._write(msgspec.msgpack.encode(saved), saved)
        self.follower._event_us_min = (1 << 63) - 1

    def _apply(self) -> None:
        slices = self.reader.poll(0.0)
        while slices:
            for part in slices:
                self.follower.apply(part)
            slices = self.reader.poll(0.0)

    def _note(self, gap_us: int) -> None:
        """All of `_now_us` is in the state, and nothing of later: so it is up to the next."""
        dump = {token: self.live.read(token) for token in FLEET}
        self.seen += [(at_us, dump) for at_us in {self._now_us, self._now_us + gap_us - 1}]

    def corrected(self, at_us: int) -> dict[VehicleToken, tuple[dict[str, SignalValue], bool]]:
        """By the definition: of every record, what happened by then; the newest of each signal."""
        samples, _, slots = self._decoded()
        latest: dict[VehicleToken, dict[str, SignalValue]] = {token: {} for token in FLEET}
        table = PresenceTable()
        columns = (samples.vehicle, samples.time_us, samples.signal, samples.value)
        for slot, time_us, signal, value in zip(*(c.tolist() for c in columns), strict=True):
            token, known = FLEET[slot], BY_ID.get(signal)
            name = self._oracle.dictionary.name_of(signal)
            before = latest[token].get(name)
            if time_us <= at_us and (before is None or time_us >= before.time_us):
                shown = present(known, value, samples.texts)
                latest[token][name] = SignalValue(shown, time_us, known.unit if known else "")
        for slot, (record, writer) in zip(slots, self.kept_records, strict=True):
            if record.topic is Topic.CONNECTIVITY and record.received_time_us <= at_us:
                if slot >= 0:
                    table.apply(slot, record.payload, writer)
                elif record.name == GATEWAY_STARTED:
                    table.writer_started(writer)
        return {token: (latest[token], table.is_online(slot)) for slot, token in enumerate(FLEET)}


def with_past(**limits: float) -> Config:
    return replace(CONFIG, past=replace(CONFIG.past, **limits))  # type: ignore[arg-type]
