"""Charging sessions out of what cars stream: begin, end, energy, charge, place. No IO.

A session lasts as long as a car's `detailed_charge_state` is Charging, by the car's clock. It ends
with its next other state, and its energy is read once more when the cable goes or it charges again:
meters may come a little later than the state. What is late, older than the newest state known of
the car, begins and ends nothing, as it changes nothing in live state.

Looked at is the column of the charge state alone; everything else costs when a state changes. All
of it follows from the log in the log's order, wherever batches are cut; the newest sessions are
part of a snapshot and are told again after a restart, so none is lost in between.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken
from motorcade.meters.port import ChargeSession
from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.samples import SampleBatch
from motorcade.state.cells import Cells

TOLD_AGAIN_MAX: Final = 4_096
"""Sessions in a snapshot: more than end between two commits of the ledger, which is seconds."""

AWAY, PLUGGED, CHARGING, _SAME = 0, 1, 2, -1
_LEVEL_OF_NAME: Final = {
    "Disconnected": AWAY,
    "NoPower": PLUGGED,
    "Complete": PLUGGED,
    "Stopped": PLUGGED,
    "Charging": CHARGING,
}
"""Of the others (Unknown, Starting, Calibrating) nothing follows."""

_STATE: Final = BY_NAME["detailed_charge_state"]
assert _STATE.enum is not None
_LEVELS: Final = np.array(
    [_LEVEL_OF_NAME.get(name, _SAME) for name in _STATE.enum.short_names], np.int8
)
_METERS: Final = tuple(
    BY_NAME[name].id
    for name in ("charge_energy_added", "ac_charging_energy_in", "dc_charging_energy_in")
)
"""Joules since the cable went in, the best first: into the battery, by alternating, by direct
current."""

_CHARGES: Final = (BY_NAME["soc"].id, BY_NAME["battery_level"].id)
_FAST: Final = BY_NAME["fast_charger_present"].id
_HOME: Final = BY_NAME["located_at_home"].id
_LATITUDE, _LONGITUDE = BY_NAME["latitude"].id, BY_NAME["longitude"].id


class Turn(NamedTuple):
    """Where in a batch a car's charging may change: after the sample before `end`."""

    end: int
    slot: int


class _Begun(msgspec.Struct, array_like=True):
    """A session that is on, or over while the cable is in (`end_us`)."""

    start_us: int
    meters_j: tuple[float | None, float | None, float | None]  # `_METERS` when it began
    soc: float | None
    place: str
    home: bool
    end_us: int = 0
    end_soc: float | None = None


class SavedCharges(msgspec.Struct, array_like=True):
    """What a snapshot holds."""

    plugged_us: dict[int, int] = {}
    begun: dict[int, _Begun] = {}
    recent: list[ChargeSession] = []


@dataclass(frozen=True, slots=True)
class ChargePorts:
    """Whom a watch tells of sessions that have ended, again when more is known; whom it asks.

    Both are called while readers of live state wait: they return at once and ask it nothing.
    """

    ended: Callable[[ChargeSession], None]  # from the follower's thread
    place_of: Callable[[float, float], str]  # of (latitude, longitude) in degrees; "": none


class ChargeWatch:
    """Every car's charging, by slot."""

    def __init__(self, ports: ChargePorts) -> None:
        self._ports = ports
        self._levels = np.zeros(0, np.int8)
        self._plugged_us: dict[int, int] = {}  # when the cable went in
        self._begun: dict[int, _Begun] = {}
        self._recent: deque[ChargeSession] = deque(maxlen=TOLD_AGAIN_MAX)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        more = np.zeros(capacity - len(self._levels), np.int8)
        self._levels = np.concatenate((self._levels, more))

    def turns(self, samples: SampleBatch) -> list[Turn]:
        """Where to `look`, in order; mostly nowhere."""
        rows = np.flatnonzero(samples.signal == _STATE.id)
        if not len(rows):
            return []
        slots, levels = samples.vehicle[rows], _levels_of(samples.value[rows])
        moved = (levels != _SAME) & (levels != self._levels[slots])
        if not moved.any():
            return []
        rows = rows[np.isin(slots, slots[moved])]
        return list(map(Turn, (rows + 1).tolist(), samples.vehicle[rows].tolist()))

    def look(self, slot: int, token: VehicleToken, cells: Cells) -> None:
        """Note what the car's charge state is now."""
        cell = cells.of_signal(slot, _STATE.id)
        if cell is None:
            return
        time_us, value = cell
        level = int(_levels_of(np.array([value]))[0])
        before = int(self._levels[slot])
        if level in (_SAME, before):
            return
        self._levels[slot] = level
        if before == AWAY:
            self._plugged_us[slot] = time_us
        if before == CHARGING:
            begun = self._begun[slot]
            begun.end_us, begun.end_soc = time_us, _first(cells, slot, _CHARGES)
        if level in (AWAY, CHARGING):
            self._finish(slot, token, cells)
        if level == AWAY:
            del self._plugged_us[slot]
        elif level == CHARGING:
            self._begun[slot] = self._begin(slot, time_us, cells)

    def tell(self, slots: set[int], token_of: Callable[[int], VehicleToken], cells: Cells) -> None:
        """Tell of the sessions that are over while the cable is in, of these cars."""
        for slot in sorted(slots):
            begun = self._begun.get(slot)
            if begun is not None and begun.end_us:
                self._tell(self._session(slot, token_of(slot), begun, cells))

    def _begin(self, slot: int, time_us: int, cells: Cells) -> _Begun:
        latitude, longitude = (cells.of_signal(slot, one) for one in (_LATITUDE, _LONGITUDE))
        place = self._ports.place_of(latitude[1], longitude[1]) if latitude and longitude else ""
        home = cells.of_signal(slot, _HOME)
        since_us = self._plugged_us[slot]  # what a meter showed before is of another cable
        added, by_ac, by_dc = (_meter(cells, slot, meter, since_us) for meter in _METERS)
        return _Begun(
            time_us,
            (added, by_ac, by_dc),
            _first(cells, slot, _CHARGES),
            place,
            home is not None and home[1] == 1.0,
        )

    def _finish(self, slot: int, token: VehicleToken, cells: Cells) -> None:
        begun = self._begun.pop(slot, None)
        if begun is None:
            return
        session = self._session(slot, token, begun, cells)
        self._recent.append(session)
        self._tell(session)

    def _tell(self, session: ChargeSession) -> None:
        if session.start_us > 0:  # else its clock was never set
            self._ports.ended(session)

    def _session(
        self, slot: int, token: VehicleToken, begun: _Begun, cells: Cells
    ) -> ChargeSession:
        added, by_ac, by_dc = (
            _rise(before, _meter(cells, slot, meter, begun.start_us))
            for before, meter in zip(begun.meters_j, _METERS, strict=True)
        )
        fast = cells.of_signal(slot, _FAST)
        by_cable = fast is not None and fast[0] >= begun.start_us and fast[1] == 1.0
        known = [energy for energy in (added, by_dc or by_ac) if energy is not None]
        return ChargeSession(
            vehicle=token,
            start_us=begun.start_us,
            end_us=begun.end_us,
            energy_j=round(known[0]) if known else None,
            direct_current=by_dc > (by_ac or 0.0) if by_dc is not None else by_cable,
            start_soc=begun.soc,
            end_soc=_soc_at_end(cells, slot, begun),
            place=begun.place,
            home=begun.home,
        )

    def save(self) -> SavedCharges:
        """The same for the same records, however they were cut into batches."""
        return SavedCharges(
            dict(sorted(self._plugged_us.items())),
            dict(sorted(self._begun.items())),
            list(self._recent),
        )

    def restore(
        self, saved: SavedCharges, token_of: Callable[[int], VehicleToken], cells: Cells
    ) -> None:
        """Go on from a snapshot, and tell its sessions again."""
        self._plugged_us, self._begun = saved.plugged_us, saved.begun
        self._levels[list(saved.plugged_us)] = PLUGGED
        self._levels[[slot for slot, begun in saved.begun.items() if not begun.end_us]] = CHARGING
        self._recent.extend(saved.recent)
        for session in saved.recent:
            self._tell(session)
        self.tell(set(saved.begun), token_of, cells)


def _levels_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Levels of the charge state's values; what is no state of the table is `_SAME`."""
    known = (values >= 0) & (values < len(_LEVELS))
    numbers = np.where(known, values, 0).astype(np.int64)
    return np.where(known, _LEVELS[numbers], np.int8(_SAME))


def _first(cells: Cells, slot: int, signals: tuple[int, ...]) -> float | None:
    """The first of these that has a number."""
    found = (_meter(cells, slot, signal, 0) for signal in signals)
    return next((value for value in found if value is not None), None)


def _soc_at_end(cells: Cells, slot: int, begun: _Begun) -> float | None:
    """What its last record of the session says, whatever the order of signals in it."""
    for signal in _CHARGES:
        cell = cells.of_signal(slot, signal)
        if cell is not None and _is_told(signal, cell[1]):
            return cell[1] if cell[0] <= begun.end_us else begun.end_soc
    return begun.end_soc


def _meter(cells: Cells, slot: int, signal: int, since_us: int) -> float | None:
    """What it showed last, if that is not older."""
    cell = cells.of_signal(slot, signal)
    if cell is None or cell[0] < since_us or not _is_told(signal, cell[1]):
        return None
    return cell[1]


def _is_told(signal: int, value: float) -> bool:
    """Whether it is a number that such a signal can have: a car may send any."""
    known = BY_ID[signal]
    return known.low <= value <= known.high


def _rise(before: float | None, after: float | None) -> float | None:
    """From one reading to a later one; a meter that shows less began anew."""
    if after is None:
        return None
    return after - before if before is not None and before <= after else after
