"""The queue as it stands: what was derived last, and what people noted on it.

`look` derives, once for all who ask meanwhile, in the thread that holds the fleet's picture. Notes
are written by threads of their own; what is in memory is what is on disk. An item that somebody has
noted something on stays the same item until its cause is gone, then it closes by itself.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from motorcade.api.window.picture import Picture
from motorcade.api.work.causes import Before, Item, State, derive, fold_key
from motorcade.clock import Clock
from motorcade.commands.port import Commands
from motorcade.config import Config
from motorcade.registry.errors import RegistryError
from motorcade.registry.port import Vehicle
from motorcade.registry.work.port import NotedItem, WorkNote, WorkNotes
from motorcade.state.columns import ALARM
from motorcade.state.port import LiveState

ALARM_SIGNALS: Final = {
    1: ("sentry_mode",),
    2: ("bms_state",),
    4: ("hvil",),
    8: tuple(
        f"tpms_hard_warning_{place}"
        for place in ("front_left", "front_right", "rear_left", "rear_right")
    ),
}
"""What the bits of `columns.ALARM_TEXTS` are judged by."""

_log = structlog.get_logger()


class NotOpenError(LookupError):
    """No item of this id is open."""


class NotNotedError(ValueError):
    """Nothing can be noted or undone; the text says why."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What people did to an item."""

    row: NotedItem
    notes: tuple[WorkNote, ...] = ()

    def last(self, what: str) -> WorkNote | None:
        return next((note for note in reversed(self.notes) if note.what == what), None)

    @property
    def whose(self) -> str:
        """Who is said to have closed it: who had it, took it on, or touched it last; "": nobody."""
        assigned, taken = self.last("assign"), self.last("acknowledge")
        if assigned is not None:
            return assigned.text
        last = taken or (self.notes[-1] if self.notes else None)
        return last.who if last is not None else ""


class Closed(NamedTuple):
    """The end of an item that somebody had worked on."""

    time_us: int
    who: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was derived at one instant."""

    at_us: int
    epoch: int
    items: Mapping[str, Item]  # the worst first
    noted: Mapping[str, Noted]
    last_closed: Closed | None


class WorkQueue:
    """See the module."""

    def __init__(
        self,
        notes: WorkNotes,
        state: LiveState,
        commands: Commands,
        config: Config,
        clock: Clock,
    ) -> None:
        self.notes, self.state, self.commands = notes, state, commands
        self.config, self.clock = config, clock
        self._lock = threading.Lock()  # of memory: never held for long
        self._writing = threading.Lock()  # of the disk
        self._noted: dict[str, Noted] | None = None  # read at the first look
        self._items: dict[str, Item] = {}
        self._looked = (0, -1)  # when, of which epoch
        self._begun_us = 0  # of the first look
        self._alarms: dict[int, tuple[int, int]] = {}  # by vehicle: bits, since
        self._closings: list[tuple[str, int, str]] = []  # not on disk yet
        self._last_closed: Closed | None = None

    def look(self, picture: Picture) -> Seen:
        """Everything that is open; in the picture's thread. Raises `RegistryUnavailableError`."""
        columns = picture.columns
        assert columns is not None  # `Viewers.read` has looked
        self._load()
        at_us, epoch = self._looked
        passed_us = columns.at_us - at_us
        if epoch != picture.epoch or passed_us >= self.config.work.look_s * 1e6 or passed_us < 0:
            items = derive(self._state(picture), self._before(), self.config.work)
            self._take(items, columns.at_us, picture.epoch)
        with self._lock:
            return Seen(*self._looked, self._items, self._noted or {}, self._last_closed)

    def write(self) -> None:
        """Put on disk what closed since; in a thread. What cannot be written is tried again."""
        with self._lock:
            closings, self._closings = self._closings, []
        if not closings:
            return
        before_us = self.clock.now_us() - self.config.work.closed_s_max * 1_000_000
        try:
            with self._writing:
                self.notes.close(closings, before_us)
        except RegistryError as error:
            _log.warning("work_not_closed", items=len(closings), error=str(error))
            with self._lock:
                self._closings = closings + self._closings

    def note(self, item: NotedItem, note: WorkNote) -> None:
        """Keep what somebody did to an open item; in a thread.

        Raises:
            NotOpenError: it has closed meanwhile.
            NotNotedError: it has `work.notes_max`.
            RegistryUnavailableError: nothing was kept.
        """
        with self._writing:
            noted = self._open(item.id) or Noted(item)
            if len(noted.notes) >= self.config.work.notes_max:
                raise NotNotedError(f"the item has {len(noted.notes)} notes: no more are taken")
            kept = self.notes.add(item, note)
            self._put(Noted(noted.row, (*noted.notes, kept)))

    def undo(self, item_id: str, subject: str) -> WorkNote:
        """Take back what this person did last to an open item, `work.undo_s` ago at most.

        Raises:
            NotOpenError: it is not open.
            NotNotedError: there is nothing that they may take back.
            RegistryUnavailableError: nothing has changed.
        """
        now_us, undo_s = self.clock.now_us(), self.config.work.undo_s
        with self._writing:
            noted = self._open(item_id)
            own = [note for note in (noted.notes if noted else ()) if note.subject == subject]
            if noted is None or not own or now_us - own[-1].time_us > undo_s * 1e6:
                text = f"what you did to an item you can undo for {undo_s:g} s"
                raise NotNotedError(text)
            self.notes.undo(own[-1].id, now_us)
            left = tuple(note for note in noted.notes if note.id != own[-1].id)
            self._put(Noted(noted.row, left))
        return own[-1]

    def _open(self, item_id: str) -> Noted | None:
        with self._lock:
            if item_id not in self._items:
                raise NotOpenError(item_id)
            return (self._noted or {}).get(item_id)

    def _put(self, noted: Noted) -> None:
        with self._lock:
            if noted.row.id in self._items:  # else it closed while the disk wrote
                self._noted = {**(self._noted or {}), noted.row.id: noted}
            else:
                self._closings.append((noted.row.id, self.clock.now_us(), noted.whose))

    def _load(self) -> None:
        """What was noted before this process began."""
        if self._noted is not None:
            return
        rows = self.notes.open()
        noted = {row.id: Noted(row, tuple(self.notes.notes(row.id))) for row in rows}
        closed = self.notes.closed(self.config.work.closed_max)
        last = next((row for row in closed if row.closed_by), None)
        with self._lock:
            self._noted = noted
            if last is not None:
                self._last_closed = Closed(last.closed_us or 0, last.closed_by)
        self._alarms = {
            row.vehicle_id: (int(row.topic), row.since_us)
            for row in rows
            if row.kind == "alarm" and row.vehicle_id is not None
        }

    def _before(self) -> Before:
        """Folded items of the last look, and whatever somebody noted something on."""
        anchors: dict[str, list[int]] = {}
        alone = []
        with self._lock:
            for item in self._items.values():
                if item.folded:
                    anchors.setdefault(fold_key(item.subject), []).append(item.since_us)
            for noted in (self._noted or {}).values():
                row = noted.row
                if row.vehicle_id is not None:
                    alone.append(row.id)
                elif row.id not in self._items:
                    anchors.setdefault(f"{row.kind}.{row.topic}", []).append(row.since_us)
        return Before(anchors, frozenset(alone))

    def _state(self, picture: Picture) -> State:
        columns, roster = picture.columns, picture.roster
        assert columns is not None
        since_us: dict[int, int] = {}
        alarms: dict[int, tuple[int, int]] = {}
        for slot in (columns.state == ALARM).nonzero()[0].tolist():
            vehicle, bits = roster.vehicles[slot], int(columns.alarms[slot])
            if vehicle is not None:
                known = self._alarms.get(vehicle.id, (0, 0))
                begun_us = known[1] if known[0] == bits else self._alarm_since(vehicle, bits)
                begun_us = min(begun_us, columns.at_us)  # a car's clock may run ahead
                alarms[vehicle.id] = bits, begun_us or int(columns.received_us[slot])
                since_us[slot] = alarms[vehicle.id][1]
        self._alarms = alarms
        config = self.config.work
        after_us = columns.at_us - config.command_s_max * 1_000_000
        views = self.commands.failed(after_us, config.commands_max)
        found = [(view, roster.by_token.get(view.vehicle)) for view in views]
        return State(
            fleet=columns,
            vehicles=roster.vehicles,
            known=roster.known,
            alarms_since_us=since_us,
            failed=[(view, vehicle) for view, vehicle in found if vehicle is not None],
            moving_speed_mps=self.config.dashboard.moving_speed_mps,
        )

    def _alarm_since(self, vehicle: Vehicle, bits: int) -> int:
        """When the car told last of what it is in alarm for; 0: it is not known."""
        return max((time_us for _, time_us in self.alarm_signals(vehicle, bits)), default=0)

    def alarm_signals(self, vehicle: Vehicle, bits: int) -> list[tuple[str, int]]:
        """The signals behind these bits, and when each was told last."""
        names = [name for bit, of_bit in ALARM_SIGNALS.items() if bits & bit for name in of_bit]
        told = [(name, self.state.value(vehicle.token, name)) for name in names]
        return [(name, said.time_us) for name, said in told if said is not None and said.value]

    def _take(self, items: Sequence[Item], at_us: int, epoch: int) -> None:
        """The items of a new look in place of those before; close what is gone."""
        new = {item.id: item for item in items}
        self._begun_us = self._begun_us or at_us
        settled = at_us - self._begun_us >= self.config.work.settle_s * 1e6
        with self._lock:
            noted = self._noted or {}
            gone = [one for one in noted.values() if one.row.id not in new]
            if not settled or len(items) >= self.config.work.items_max:
                kept = {one.row.id: self._items.get(one.row.id) for one in gone}
                new |= {item_id: item for item_id, item in kept.items() if item is not None}
                new = dict(sorted(new.items(), key=lambda one: one[1].rank))
                gone = []
            for one in gone:
                self._closings.append((one.row.id, at_us, one.whose))
                if one.whose:
                    self._last_closed = Closed(at_us, one.whose)
            closed = {one.row.id for one in gone}
            self._noted = {key: one for key, one in noted.items() if key not in closed}
            self._items, self._looked = new, (at_us, epoch)
