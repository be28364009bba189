"""What a token may see of where a vehicle was: `sight.py` asked for each instant of a history.

A history is judged as the live state was: at each instant by the newest coordinates until then, so
whoever hears nothing in a privacy zone reads nothing of it either, also where the zone was drawn
later. Before the first known fix nobody can judge, and nothing is told. No IO.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from motorcade.api.ground import DEGREE_M
from motorcade.api.schedule_data import SCHEDULES
from motorcade.api.sight import COORDINATES, LOCATION_SIGNALS, OTHERS, Sight
from motorcade.history.port import Series, Values
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import TEXT_BITS, from_bits, present, unavailable
from motorcade.state.port import SignalValue

AS_THEY_ARE: Final = OTHERS - SCHEDULES
"""Signals that every sight shows as they are."""

ROUNDING: Final = 1e-6  # of a distance, generously

Histories = Mapping[str, Series]


def needs_coordinates(sight: Sight) -> bool:
    """Whether to judge a history takes the vehicle's coordinates, from some time before it too."""
    return sight.located and sight.limited


def told(sight: Sight, histories: Histories, coordinates: Histories) -> dict[str, Series]:
    """Of these series, those that may be told, as they may be.

    `coordinates` holds the vehicle's COORDINATES over the same time and some before; it may be
    empty where `needs_coordinates` is false.
    """
    if sight.located and not sight.limited:
        return dict(histories)
    answer = {name: series for name, series in histories.items() if name in AS_THEY_ARE}
    judged = {
        name: series
        for name, series in histories.items()
        if name in LOCATION_SIGNALS or name in SCHEDULES
    }
    return answer | _judged(sight, judged, coordinates)


def told_places(sight: Sight, latitudes: Values, longitudes: Values) -> tuple[Values, Values]:
    """Of these fixes in degrees, the places that may be told; NaN in both for none."""
    latitude, longitude = latitudes.copy(), longitudes.copy()
    asked = ~((np.abs(latitude) <= 90) & np.isfinite(longitude))  # beyond a pole is no such place
    for zone in sight.zones:  # so far north or south is so far away: most are told as they are
        north_deg = np.abs(latitude - zone.latitude_deg)
        asked |= ~(north_deg > zone.radius_m / DEGREE_M * (1 + ROUNDING))
    if sight.grid_m:
        asked[:] = True
    for at in np.flatnonzero(asked).tolist():
        told = sight.place((float(latitude[at]), float(longitude[at])))
        latitude[at], longitude[at] = (np.nan, np.nan) if told is None else told
    return latitude, longitude


class _Told:
    """One signal's samples as they come out of the judgement."""

    def __init__(self) -> None:
        self.time_us: list[int] = []
        self.received_us: list[int] = []
        self.value: list[float] = []
        self.texts: dict[int, str] = {}

    def add(self, time_us: int, received_us: int, value: float | str | bool | None) -> None:
        self.time_us.append(time_us)
        self.received_us.append(received_us)
        if value is None:
            self.value.append(unavailable())
        elif isinstance(value, str):
            number = len(self.texts)
            self.texts[number] = value
            self.value.append(from_bits(TEXT_BITS | number))
        else:
            self.value.append(float(value))

    def series(self) -> Series:
        columns = (np.array(self.time_us, np.int64), np.array(self.received_us, np.int64))
        return Series(*columns, np.array(self.value, np.float64), self.texts)


Sample = tuple[int, int, SignalValue]
"""Event time, received time, value."""


def _judged(sight: Sight, histories: Histories, coordinates: Histories) -> dict[str, Series]:
    at: dict[int, dict[str, tuple[int, SignalValue]]] = {}
    for name, series in histories.items():
        for time_us, received_us, value in _samples(name, series):
            at.setdefault(time_us, {})[name] = received_us, value
    fixes = sorted(
        (time_us, name, value)
        for name in COORDINATES & coordinates.keys()
        for time_us, _, value in _samples(name, coordinates[name])
    )
    known: dict[str, SignalValue] = {}
    found: dict[str, _Told] = {}
    place = 0
    for time_us in sorted(at):
        while place < len(fixes) and fixes[place][0] <= time_us:
            known[fixes[place][1]] = fixes[place][2]
            place += 1
        said = {name: value for name, (_, value) in at[time_us].items()}
        for name, value in sight.of(said, {**known, **said}).items():
            if name in said:  # of a pair, the other one may be of an earlier instant
                received_us = at[time_us][name][0]
                found.setdefault(name, _Told()).add(time_us, received_us, value.value)
    return {name: one.series() for name, one in found.items()}


def _samples(name: str, series: Series) -> list[Sample]:
    signal = BY_NAME.get(name)
    unit = signal.unit if signal is not None else ""
    texts = dict(series.texts)
    return [
        (time_us, received_us, SignalValue(present(signal, float(value), texts), time_us, unit))
        for time_us, received_us, value in zip(
            series.time_us.tolist(), series.received_us.tolist(), series.value, strict=True
        )
    ]
