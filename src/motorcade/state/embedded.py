"""Live state in this process's memory: columns, a sparse table, and nothing else to install.

One thread, the follower's, calls `apply`, `save` and `restore`; any thread may read and subscribe.
What two threads share is touched inside the gate, in steps well under 1 ms (`steps.py`).
"""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from motorcade.config import Config
from motorcade.events import RecordBatch, Topic, VehicleToken, pack_token, unpack_token
from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.decoder import Decoder
from motorcade.signals.plain import DecodeCounts
from motorcade.signals.samples import TAG_MASK, TEXT_BITS, Dictionary, SampleBatch, present
from motorcade.signals.signal import Kind
from motorcade.state.cells import Cells
from motorcade.state.charges import ChargePorts, ChargeWatch, SavedCharges
from motorcade.state.columns import STEP_SLOTS, empty_columns, judged
from motorcade.state.gate import Gate
from motorcade.state.kernels import NEVER, note_received
from motorcade.state.port import (
    ONLINE,
    Callback,
    Change,
    FleetColumns,
    Handle,
    SignalValue,
    VehicleState,
)
from motorcade.state.presence import GATEWAY_STARTED, PresenceTable
from motorcade.state.slots import SlotTable
from motorcade.state.steps import STEP_ROWS, Rows, steps
from motorcade.state.subscribers import Subscribers, notify

_PLAIN: Final = {  # name and unit of signals whose numbers are shown as they are stored
    signal.id: (signal.name, signal.unit)
    for signal in BY_ID.values()
    if signal.kind is not Kind.BOOLEAN and signal.enum is None
}
NO_EVENT: Final = (1 << 63) - 1  # later than any
TEXTS_SPARE: Final = 4_096  # texts that no cell points at are swept when there may be this many


class _Saved(msgspec.Struct, array_like=True):
    token_high: bytes
    token_low: bytes
    received_us: bytes
    slot: bytes
    signal: bytes
    time_us: bytes
    value: bytes
    texts: list[tuple[int, str]]
    connections: list[tuple[int, str, str]]
    dictionary: bytes
    charges: SavedCharges = msgspec.field(default_factory=SavedCharges)


class EmbeddedLiveState:
    """The `LiveState` engine that needs nothing installed."""

    def __init__(self, config: Config, charging: ChargePorts | None = None) -> None:
        """`charging` is told of charging sessions; without it nobody looks for any."""
        self._config, self._charging = config, charging
        self._gate = Gate()
        self._subscribers = Subscribers()
        self._comings = 0
        self._epoch = 0
        self._serial = 0  # of changes; never the same twice, whatever is restored
        self.records_without_slot = 0  # of vehicles beyond state.vehicles_max
        self._clear()

    def _clear(self) -> None:
        self._epoch += 1
        state = self._config.state
        self._slots = SlotTable(vehicles_max=state.vehicles_max)
        self._cells = Cells(signals_per_vehicle_max=state.signals_per_vehicle_max)
        self._received_us = np.zeros(0, np.int64)
        self._online = np.zeros(0, np.bool_)  # what `_presence` says, by slot
        self._versions = np.zeros(0, np.int64)  # the serial of a slot's newest change
        self._presence = PresenceTable()
        self._charges = ChargeWatch(self._charging) if self._charging is not None else None
        self._texts: dict[int, str] = {}
        self._texts_swept = 0
        self._event_us_min = NO_EVENT
        self._decoder = Decoder(
            Dictionary(
                names_per_vehicle_max=state.signals_per_vehicle_max,
                text_bytes_max=state.text_bytes_max,
            ),
            future_us_max=self._config.time.future_s_max * 1_000_000,
        )
        self._grow()

    @property
    def counts(self) -> DecodeCounts:
        """What decoding left out since this object was made."""
        return self._decoder.counts

    @property
    def dropped_samples(self) -> int:
        """Samples of vehicles that have `state.signals_per_vehicle_max` sparse signals."""
        return self._cells.dropped

    @property
    def vehicle_count(self) -> int:
        return self._slots.count

    @property
    def allocated_bytes(self) -> int:
        """The memory of what grows with vehicles and signals; texts and names come on top."""
        columns = (self._received_us, self._versions, *self._slots.tokens())
        return self._cells.allocated_bytes + sum(column.nbytes for column in columns)

    # Reading, from any thread.

    def read(self, token: VehicleToken) -> VehicleState:
        """See `LiveState.read`."""
        high, low = pack_token(token)
        with self._gate:
            slot = self._slots.find(high, low)
            if slot < 0:
                return VehicleState({}, online=False, last_received_us=0)
            cells, texts = self._cells.of_vehicle(slot), self._texts
            online, received_us = self._presence.is_online(slot), int(self._received_us[slot])
        # Outside of the gate: what the cells point at stays true, and nobody else has to wait.
        signals: dict[str, SignalValue] = {}
        for signal, time_us, value in cells:
            plain = _PLAIN.get(signal) if value == value else None
            if plain is not None:
                signals[plain[0]] = SignalValue(value, time_us, plain[1])
            else:
                name, shown = self._shown(signal, time_us, value, texts)
                signals[name] = shown
        return VehicleState(signals, online, received_us)

    def version(self, token: VehicleToken) -> int:
        """See `LiveState.version`."""
        high, low = pack_token(token)
        with self._gate:
            slot = self._slots.find(high, low)
            return int(self._versions[slot]) if slot >= 0 else -1

    def online(self, token: VehicleToken) -> bool:
        """See `LiveState.online`."""
        high, low = pack_token(token)
        with self._gate:
            return self._presence.is_online(self._slots.find(high, low))

    def value(self, token: VehicleToken, signal: str) -> SignalValue | None:
        """See `LiveState.value`."""
        wanted = BY_NAME[signal].id
        with self._gate:
            slot = self._slots.find(*pack_token(token))
            cell = self._cells.of_signal(slot, wanted) if slot >= 0 else None
            texts = self._texts
        return None if cell is None else self._shown(wanted, *cell, texts)[1]

    def comings(self) -> int:
        """See `LiveState.comings`."""
        return self._comings

    def fleet(self, now_us: int) -> FleetColumns:
        """Every vehicle as columns, with its state as of `now_us`.

        Taken in steps, each of which sees whole vehicles; 100,000 cost some milliseconds and hold
        up nobody for longer than one step. A vehicle that comes meanwhile is in the next one.
        """
        with self._gate:
            high, low = self._slots.tokens()
            epoch = self._epoch
        gathered = empty_columns(len(high))
        for first in range(0, len(high), STEP_SLOTS):
            last = min(first + STEP_SLOTS, len(high))
            with self._gate:
                if self._epoch != epoch:
                    break  # restored meanwhile: these slots are of other vehicles
                self._cells.gather(
                    first, last, self._received_us, self._online, self._versions, gathered
                )
        else:
            return judged(high, low, gathered, now_us, self._config.dashboard)
        return self.fleet(now_us)

    def epoch(self) -> int:
        """Another number once slots may mean other vehicles than before."""
        return self._epoch

    def slot(self, token: VehicleToken) -> int:
        """The vehicle's row in `fleet`; -1: it never sent anything."""
        with self._gate:
            return self._slots.find(*pack_token(token))

    def _shown(self, signal: int, time_us: int, value: float, texts: dict[int, str]) -> Change:
        known = BY_ID.get(signal)
        shown = SignalValue(present(known, value, texts), time_us, known.unit if known else "")
        return (known.name if known else self._decoder.dictionary.name_of(signal)), shown

    def subscribe(self, token: VehicleToken, callback: Callback) -> Handle:
        """See `LiveState.subscribe`."""
        packed = pack_token(token)
        with self._gate:
            slot = self._slots.find(*packed)
            if slot >= 0:
                self._cells.watched[slot] = True
            return self._subscribers.add(packed, slot, callback)

    def unsubscribe(self, handle: Handle) -> None:
        """See `LiveState.unsubscribe`."""
        with self._gate:
            slot = self._subscribers.remove(handle)
            if slot >= 0:
                self._cells.watched[slot] = False

    # Writing, from the follower's thread.

    def apply(self, batch: RecordBatch, writer: str) -> None:
        """Take records of one writer, in log order, duplicates removed."""
        changes: dict[int, dict[str, SignalValue]] = {}
        slots = self._find_slots(batch)
        samples, ends = self._decode(batch, slots)
        received_us = batch.rows["received_time_us"].copy()
        is_telemetry = batch.rows["topic"] == Topic.TELEMETRY
        self._take(samples, Rows(slots, received_us, is_telemetry, ends), changes)
        self._apply_presence(batch, slots, writer, changes)
        self._notify(changes)

    def apply_until(self, batch: RecordBatch, writer: str, until_us: int) -> SampleBatch:
        """Take of these records what happened by `until_us`, and give back the later samples.

        Presence is taken whole, and when they were received is passed over: see
        `take_events_as_received`.
        """
        slots = self._find_slots(batch)
        samples, _ = self._decode(batch, slots)
        later = samples.time_us > until_us
        self.apply_samples(samples.select(~later) if later.any() else samples)
        self._apply_presence(batch, slots, writer, {})
        return samples.select(later)

    def apply_samples(self, samples: SampleBatch) -> None:
        """Take samples that `apply_until` gave back."""
        self._take(samples, Rows.of_nobody(samples), {})

    def take_events_as_received(self) -> None:
        """Let each vehicle's newest sample be when it was heard last: as if none were late."""
        with self._gate:
            newest_us = self._cells.newest_us()
            self._received_us = np.where(newest_us == NEVER, 0, newest_us)

    def _decode(
        self, batch: RecordBatch, slots: npt.NDArray[np.int32]
    ) -> tuple[SampleBatch, npt.NDArray[np.int64]]:
        samples, ends = self._decoder.decode_rows(batch, slots)
        is_presence = batch.rows["topic"] == Topic.CONNECTIVITY
        told_us = batch.rows["received_time_us"][is_presence]
        least = (samples.time_us.min(initial=NO_EVENT), told_us.min(initial=NO_EVENT))
        self._event_us_min = min(self._event_us_min, *map(int, least))
        return samples, ends

    def take_event_us_min(self) -> int:
        """The oldest time of what came since the last call, `NO_EVENT` of nothing: when samples
        are of, when presence was told."""
        least, self._event_us_min = self._event_us_min, NO_EVENT
        return least

    def _take(
        self, samples: SampleBatch, rows: Rows, changes: dict[int, dict[str, SignalValue]]
    ) -> None:
        self._texts.update(samples.texts)
        watch = self._charges
        turns = watch.turns(samples) if watch is not None else []
        turned = iter(turns)
        turn = next(turned, None)
        for first, last, begin, end in steps(rows, [turn.end for turn in turns]):
            at = begin
            with self._gate:
                while watch is not None and turn is not None and turn.end <= end:
                    self._apply_samples(samples, at, turn.end, changes)
                    watch.look(turn.slot, self._token_of(turn.slot), self._cells)
                    at, turn = turn.end, next(turned, None)
                self._apply_samples(samples, at, end, changes)
                slots = rows.slots[first:last]
                heard = rows.received_us[first:last], rows.is_telemetry[first:last]
                note_received(slots, *heard, self._received_us)
                self._note_versions(slots[slots >= 0])
        if watch is not None and turns:
            watch.tell({turn.slot for turn in turns}, self._token_of, self._cells)
        self._sweep_texts()

    def _notify(self, changes: dict[int, dict[str, SignalValue]]) -> None:
        for slot, of_vehicle in changes.items():
            with self._gate:
                callbacks = self._subscribers.callbacks_of(slot)
            notify(callbacks, list(of_vehicle.items()))

    def _apply_samples(
        self,
        samples: SampleBatch,
        begin: int,
        end: int,
        changes: dict[int, dict[str, SignalValue]],
    ) -> None:
        """Inside the gate."""
        changed = self._cells.apply(samples, begin, end)
        self._note_changes(samples, changed, changes)

    def _token_of(self, slot: int) -> VehicleToken:
        high, low = self._slots.tokens()
        return unpack_token(int(high[slot]), int(low[slot]))

    def _find_slots(self, batch: RecordBatch) -> npt.NDArray[np.int32]:
        rows = batch.rows
        slots = np.empty(len(rows), np.int32)
        for first in range(0, len(rows), STEP_ROWS):
            step = slice(first, first + STEP_ROWS)
            high, low = (rows[half][step].copy() for half in ("vehicle_hi", "vehicle_lo"))
            with self._gate:
                before = self._slots.count
                slots[step] = found = self._slots.find_or_add(high, low)
                if self._slots.count > before:
                    self._grow()
                    for slot in self._subscribers.bind_new(self._slots.find):
                        self._cells.watched[slot] = True
            self.records_without_slot += int(np.count_nonzero((found < 0) & ((high | low) != 0)))
        return slots

    def _note_versions(self, slots: npt.NDArray[np.int32]) -> None:
        """Within the same hold of the gate as the change: who sees the number sees the change."""
        self._serial += 1
        self._versions[slots] = self._serial

    def _grow(self) -> None:
        capacity = self._slots.capacity
        self._cells.grow_vehicles(capacity)
        if self._charges is not None:
            self._charges.grow(capacity)
        more = np.zeros(capacity - len(self._received_us), np.int64)
        self._received_us = np.concatenate((self._received_us, more))
        self._versions = np.concatenate((self._versions, more))
        self._online = np.concatenate((self._online, more.astype(np.bool_)))

    def _note_changes(
        self,
        samples: SampleBatch,
        changed: npt.NDArray[np.int64],
        changes: dict[int, dict[str, SignalValue]],
    ) -> None:
        columns = (samples.vehicle, samples.signal, samples.time_us, samples.value)
        cells = zip(*(column[changed].tolist() for column in columns), strict=True)
        for slot, signal, time_us, held in cells:
            name, value = self._shown(signal, time_us, held, self._texts)
            changes.setdefault(slot, {})[name] = value

    def _apply_presence(
        self,
        batch: RecordBatch,
        slots: npt.NDArray[np.int32],
        writer: str,
        changes: dict[int, dict[str, SignalValue]],
    ) -> None:
        for index in np.flatnonzero(batch.rows["topic"] == Topic.CONNECTIVITY).tolist():
            record, slot = batch.record(index), int(slots[index])
            with self._gate:
                if slot >= 0:
                    moved = [(slot, self._presence.apply(slot, record.payload, writer))]
                elif record.name == GATEWAY_STARTED:
                    moved = [(gone, False) for gone in self._presence.writer_started(writer)]
                else:
                    continue
                self._comings += 1
                self._note_versions(np.array([changed for changed, _ in moved], np.int32))
                for changed, online in moved:
                    self._online[changed] = online
                    if self._cells.watched[changed]:
                        value = SignalValue(online, record.event_time_us, "")
                        changes.setdefault(changed, {})[ONLINE] = value

    def _sweep_texts(self) -> None:
        """Forget texts that no cell points at. When it happens changes memory only, no answer."""
        if len(self._texts) < 2 * self._texts_swept + TEXTS_SPARE:
            return
        texts = dict(self._texts_in_use())
        with self._gate:
            self._texts = texts
        self._texts_swept = len(texts)

    def _texts_in_use(self) -> list[tuple[int, str]]:
        bits = self._cells.text_values().view(np.uint64)
        is_text = bits & np.uint64(TAG_MASK) == np.uint64(TEXT_BITS)
        numbers = np.unique(bits[is_text] & ~np.uint64(TAG_MASK))
        return [(number, self._texts[number]) for number in numbers.tolist()]

    # Snapshots, from the follower's thread.

    def save(self) -> bytes:
        """All of it: the same bytes for the same records, however they were cut into batches."""
        high, low = self._slots.tokens()
        rows = self._cells.rows()
        return msgspec.msgpack.encode(
            _Saved(
                token_high=high.tobytes(),
                token_low=low.tobytes(),
                received_us=self._received_us[: self._slots.count].tobytes(),
                slot=rows.slot.tobytes(),
                signal=rows.signal.tobytes(),
                time_us=rows.time_us.tobytes(),
                value=rows.value.tobytes(),
                texts=self._texts_in_use(),
                connections=list(self._presence.rows()),
                dictionary=self._decoder.dictionary.snapshot(),
                charges=self._charges.save() if self._charges is not None else SavedCharges(),
            )
        )

    def restore(self, saved: bytes | None) -> None:
        """Become what `save` saw; empty for `None`. Subscriptions stay.

        Raises:
            msgspec.MsgspecError, ValueError: other bytes; the state is undefined, restore again.
        """
        with self._gate:
            self._subscribers.unbind_all()
            self._clear()
            self._comings += 1
            if saved is None:
                return
            state = msgspec.msgpack.decode(saved, type=_Saved)
            self._slots.restore(_column(state.token_high, "u8"), _column(state.token_low, "u8"))
            self._grow()
            received_us = _column(state.received_us, "i8")
            self._received_us[: len(received_us)] = received_us
            self._texts = dict(state.texts)
            self._presence.restore(state.connections)
            self._online[[slot for slot, _, _ in state.connections]] = True
            self._decoder.dictionary.restore(state.dictionary)
            self._decoder.learn()
            cells = SampleBatch(
                vehicle=_column(state.slot, "i4"),
                time_us=_column(state.time_us, "i8"),
                signal=_column(state.signal, "i4"),
                value=_column(state.value, "f8"),
            )
            self._cells.apply(cells, 0, len(cells))
            if self._charges is not None:
                self._charges.restore(state.charges, self._token_of, self._cells)
            self._note_versions(np.arange(self._slots.count, dtype=np.int32))
            for slot in self._subscribers.bind_new(self._slots.find):
                self._cells.watched[slot] = True


def newest_event_us(saved: bytes) -> int:
    """The newest time of a sample in what `save` gave; 0 without any.

    Raises:
        msgspec.MsgspecError: other bytes.
    """
    times = np.frombuffer(msgspec.msgpack.decode(saved, type=_Saved).time_us, "i8")
    return int(times.max(initial=0))


def _column(data: bytes, kind: str) -> npt.NDArray[Any]:
    """A column of its own: kernels are compiled for writable arrays."""
    return np.frombuffer(data, kind).copy()
