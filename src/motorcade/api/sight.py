"""What a token may see of where a vehicle is: its scope, the owner's zones and grid. No IO.

The one place that decides it: handlers take a vehicle's state from `Counter.view`, streams from
`Sight.of`, and both come here. Deterministic: a position is put on a grid, never moved by chance,
which an app could average away.

Inside a zone nothing of privacy class `location` is told. Outside, what lies in a zone is not
either: a destination, an origin, a schedule's place; nor what nobody can judge, such as the line of
a route, or a word of another moment than the coordinates that it is judged by. On a grid,
coordinates are told as the grid's, and nothing else of the class.

Who may not see all sees signals of the catalogue alone: nobody can judge a name that a car made up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from motorcade.api.ground import Place, distance_m, read_place, snapped
from motorcade.api.rights import LOCATION
from motorcade.api.schedule_data import SCHEDULES, placeless
from motorcade.registry.privacy.port import Zone
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.signal import Privacy
from motorcade.state.port import SignalValue, VehicleState

LOCATION_SIGNALS: Final = frozenset(
    name for name, signal in BY_NAME.items() if signal.privacy is Privacy.LOCATION
)
POSITION: Final = ("latitude", "longitude")
ORIGIN: Final = ("origin_latitude", "origin_longitude")
DESTINATION: Final = ("destination_latitude", "destination_longitude")
COORDINATES: Final = frozenset((*POSITION, *ORIGIN, *DESTINATION))
OTHERS: Final = BY_NAME.keys() - LOCATION_SIGNALS
"""Signals that say nothing of where a vehicle is."""

PLACES: Final = frozenset(name for name in LOCATION_SIGNALS if name.endswith("_place"))
"""Schedules' places, as the text "latitude,longitude"."""

AROUND: Final = frozenset(
    {
        *("gps_heading", "gps_accuracy", "altitude", "homelink_nearby", "navigation_stop_count"),
        *("located_at_home", "located_at_work", "located_at_favorite"),
        *("supercharger_session_trip_planner", "route_last_updated"),
    }
)
"""Say nothing of another place than where the car is."""

JOURNEY: Final = frozenset(
    {
        *("destination_name", "navigation_destination"),
        *("distance_to_arrival", "time_to_arrival", "route_traffic_delay"),
        "expected_energy_percent_at_trip_arrival",
    }
)
"""Say where it goes."""

Signals = Mapping[str, SignalValue]


class View(NamedTuple):
    """A vehicle as one token may see it now."""

    state: VehicleState
    located: bool  # whether it may be told where the vehicle is


@dataclass(frozen=True, slots=True)
class Sight:
    """What one token may see of one vehicle."""

    located: bool  # it has the scope
    zones: tuple[Zone, ...] = ()
    grid_m: int = 0  # 0: places are told as they are

    @property
    def limited(self) -> bool:
        """Whether the owner keeps something back."""
        return bool(self.zones or self.grid_m)

    def unjudged(self, scopes: frozenset[str]) -> frozenset[str]:
        """The token's scopes for what is told as it is or not at all: a command's parameters, a
        car's signed words."""
        return scopes - {LOCATION} if self.limited else scopes

    def hides(self, signals: Signals) -> bool:
        """Whether no place may be told while the vehicle's signals are these."""
        if not self.located:
            return True
        return bool(self.zones) and self._place_of(POSITION, signals) is None

    def view(self, state: VehicleState) -> View:
        """The vehicle's state without what this token may not see."""
        if self.located and not self.limited:
            return View(state, located=True)
        told = self.of(state.signals, state.signals)
        shown = VehicleState(told, state.online, state.last_received_us)
        return View(shown, located=not self.hides(state.signals))

    def of(self, signals: Signals, known: Signals) -> dict[str, SignalValue]:
        """Of these signals, those that may be told, as they may be.

        `known` holds at least the vehicle's newest COORDINATES: of a pair, one may be here alone.
        """
        if self.located and not self.limited:
            return dict(signals)
        told = {
            name: placeless(said) if name in SCHEDULES else said
            for name, said in signals.items()
            if name in OTHERS
        }
        if self.hides(known):
            return told
        silent = {name for name in LOCATION_SIGNALS & signals.keys() if signals[name].value is None}
        told |= {name: signals[name] for name in silent}
        for pair in (POSITION, ORIGIN, DESTINATION):
            if pair[0] in signals or pair[1] in signals:
                told |= self._pair(pair, known)
        for name in PLACES & signals.keys():
            told |= self._schedule_place(name, signals[name])
        if not self.grid_m:
            told |= self._words(AROUND, POSITION, signals, known)
            told |= self._words(JOURNEY, DESTINATION, signals, known)
        return told

    def _words(
        self, words: frozenset[str], pair: tuple[str, str], signals: Signals, known: Signals
    ) -> dict[str, SignalValue]:
        """Of words that say nothing but of the place of this pair, those of the pair's own time: an
        older or newer one may be of a place in a zone."""
        if self._place_of(pair, known) is None:
            return {}
        times_us = {known[name].time_us for name in pair}
        return {
            name: signals[name]
            for name in words & signals.keys()
            if times_us == {signals[name].time_us}
        }

    def _pair(self, pair: tuple[str, str], known: Signals) -> dict[str, SignalValue]:
        place = self._place_of(pair, known)
        if place is None:
            return {}
        return {
            name: known[name]._replace(value=degrees)
            for name, degrees in zip(pair, place, strict=True)
        }

    def _schedule_place(self, name: str, said: SignalValue) -> dict[str, SignalValue]:
        place = self.place(read_place(said.value))
        if place is None:
            return {}
        return {name: said._replace(value=f"{place[0]},{place[1]}")}

    def _place_of(self, pair: tuple[str, str], signals: Signals) -> Place | None:
        values = [signals[name].value if name in signals else None for name in pair]
        latitude, longitude = values
        if not isinstance(latitude, float) or not isinstance(longitude, float):
            return None
        return self.place((latitude, longitude))

    def place(self, place: Place | None) -> Place | None:
        """A place as it may be told; `None`: unknown, or in a zone. Whether any may, `located`
        says."""
        if place is None or not all(map(math.isfinite, place)):
            return None
        if any(within(zone, place) for zone in self.zones):
            return None
        return snapped(place, self.grid_m) if self.grid_m else place


def within(zone: Zone, place: Place) -> bool:
    """Whether a place is in a zone, its edge included; what is no number is."""
    return not distance_m((zone.latitude_deg, zone.longitude_deg), place) > zone.radius_m
