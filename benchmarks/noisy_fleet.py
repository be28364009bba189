"""A noisy fleet in columns, for history's benchmark: seeded, hour by hour, no object per row.

Each vehicle says ten signals at once, every `spacing_s` with up to a fifth of that as jitter. What
sensors add is white noise, so nothing is smoother than on a road, and each number has the
resolution that its sensor has:

| signal | course | noise (sigma) | resolution |
|---|---|---|---|
| vehicle_speed | a sine of 200 to 900 s, cut at 0 | 0.4 m/s while it moves | 0.01 m/s |
| gps_heading | a bend of 100 to 400 s | 1 degree | 0.1 degrees |
| latitude, longitude | speed along heading, summed up | 3e-6 degrees (0.3 m) | 1e-6 degrees |
| odometer | speed, summed up | - | 0.1 m |
| pack_current | with speed and its change | 15 A | 0.1 A |
| pack_voltage | falls with current and charge | 0.3 V | 0.1 V |
| soc | falls with the hour | 0.02 % | 0.01 % |
| inside_temp, outside_temp | a slow sine | 0.1, 0.2 degC | 0.1 degC |

The same seed, hour and shape give the same rows. Records arrive 50 to 550 ms after their time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorcade.events import make_token, pack_token
from motorcade.history.layout import (
    NUMBER,
    ORDER,
    RECEIVED,
    TIME,
    Rows,
    column_name,
)

START_US = 1_760_000_400_000_000  # the begin of an hour
HOUR_US = 3_600_000_000
SIGNALS = (
    "gps_heading",
    "inside_temp",
    "latitude",
    "longitude",
    "odometer",
    "outside_temp",
    "pack_current",
    "pack_voltage",
    "soc",
    "vehicle_speed",
)
SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in (TIME, RECEIVED, ORDER)),
        *((column_name(NUMBER, name), pa.float64()) for name in SIGNALS),
    ]
)
BLOCK_ROWS = 400_000  # made at once, whole vehicles: some 100 MB

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoisyFleet:
    """The same every time."""

    vehicles: int
    spacing_s: float
    seed: int

    @property
    def rows_per_hour(self) -> int:
        """Of one vehicle."""
        return round(3_600 / self.spacing_s)

    def tokens(self) -> list[tuple[int, int]]:
        """Packed, sorted."""
        chance = np.random.default_rng(self.seed)
        return sorted(pack_token(make_token(chance.bytes(16))) for _ in range(self.vehicles))

    def hour(self, hour: int, rows_each: int) -> Iterator[Rows]:
        """The hour's first `rows_each` rows of each vehicle, as a history file wants them."""
        tokens = np.array(self.tokens(), np.uint64)
        at_once = max(1, BLOCK_ROWS // rows_each)
        for first in range(0, self.vehicles, at_once):
            own = tokens[first : first + at_once]
            chance = np.random.default_rng((self.seed, hour, first))
            columns = self._columns(hour, first, len(own), rows_each, chance)
            table = pa.table([column.ravel() for column in columns], schema=SCHEMA)
            high, low = (np.repeat(half, rows_each) for half in own.T)
            yield Rows(high, low, table)

    def _columns(
        self, hour: int, first: int, cars: int, rows: int, chance: np.random.Generator
    ) -> list[npt.NDArray[np.generic]]:
        def noise(sigma: float) -> Floats:
            return chance.standard_normal((cars, rows), np.float32) * np.float64(sigma)

        def each(low: float, high: float) -> Floats:
            return chance.uniform(low, high, (cars, 1))

        def wave(period_s: Floats) -> Floats:
            return np.sin(2 * np.pi * (at_s / period_s + each(0, 1)))

        spacing_us = round(self.spacing_s * 1e6)
        row = np.arange(rows)
        at_s = row * self.spacing_s
        time_us = START_US + hour * HOUR_US + row * spacing_us
        time_us = time_us + chance.integers(0, spacing_us // 5, (cars, rows))
        received_us = time_us + chance.integers(50_000, 550_000, (cars, rows))
        order = (hour * rows + row) * self.vehicles + np.arange(first, first + cars)[:, None]

        speed = 9 + 16 * wave(each(200, 900))
        speed = np.where(speed > 0, np.maximum(speed + noise(0.4), 0), 0)
        heading = each(0, 360) + 60 * wave(each(100, 400))
        bearing = np.radians(heading)
        moved_m = speed * self.spacing_s
        north_m, east_m = (np.cumsum(moved_m * part, axis=1) for part in _parts(bearing))
        latitude, longitude = each(47, 49), each(1, 3)
        shrunk = np.cos(np.radians(latitude))
        current = 4 * speed + 60 * np.gradient(speed, axis=1) + noise(15) if rows > 1 else speed
        soc = each(20, 90) - 8 * at_s / 3_600
        found = {
            "gps_heading": _to(0.1, (heading + noise(1)) % 360),
            "inside_temp": _to(0.1, 21 + wave(each(900, 3_600)) + noise(0.1)),
            "latitude": _to(1e-6, latitude + north_m / 111_320 + noise(3e-6)),
            "longitude": _to(1e-6, longitude + east_m / (111_320 * shrunk) + noise(3e-6)),
            "odometer": _to(0.1, each(1e6, 2e8) + np.cumsum(moved_m, axis=1)),
            "outside_temp": _to(0.1, 9 + 2 * wave(each(900, 3_600)) + noise(0.2)),
            "pack_current": _to(0.1, current),
            "pack_voltage": _to(0.1, 350 + soc / 2 - current / 12 + noise(0.3)),
            "soc": _to(0.01, soc + noise(0.02)),
            "vehicle_speed": _to(0.01, speed),
        }
        return [time_us, received_us, order, *(found[name] for name in SIGNALS)]


def _parts(bearing: Floats) -> tuple[Floats, Floats]:
    return np.cos(bearing), np.sin(bearing)


def _to(resolution: float, values: Floats) -> Floats:
    """The nearest decimal number, as JSON would give it: not a multiple in binary."""
    return np.rint(values / resolution) / round(1 / resolution)
