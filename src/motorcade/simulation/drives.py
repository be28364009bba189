"""Recorded drives in place of the simulated day: what Eclipse SUMO writes as floating car data.

`sumo ... --fcd-output drives.xml.gz --fcd-output.geo`: each time step has its vehicles with place
(WGS 84), speed and heading (https://sumo.dlr.de/docs/Simulation/Output/FCDOutput.html). A vehicle
drives from its first row to its last and stands before and after. Each is played once: a car that
went back to where it began would fly through the town.
"""

import gzip
import zlib
from array import array
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from xml.parsers import expat

import numpy as np

from motorcade.simulation import kernels
from motorcade.simulation.columns import Array, no_cars
from motorcade.simulation.fleet import STEP_S, Positions, draw_levels

ROWS_MAX: Final = 20_000_000  # 36 bytes each
VEHICLES_MAX: Final = 100_000
READ_BYTES: Final = 1 << 20
_WANTED: Final = ("id", "x", "y", "angle", "speed")


class DrivesError(ValueError):
    """A file that is none of recorded drives; the text says why and what to do."""


class Drives(NamedTuple):
    """Rows by time; per vehicle, in the order of their first rows, when it drives."""

    time_s: Array  # float64, from the recording's first instant on
    car: Array  # int32
    lon_deg: Array  # float64
    lat_deg: Array
    heading_deg: Array  # float32, clockwise from north
    speed_mps: Array  # float32
    first_s: Array  # by car
    last_s: Array
    names: tuple[str, ...]  # by car, as the file has them


def _cut(attributes: dict[str, str]) -> str:
    """They may be of any length."""
    return str(attributes)[:200]


class _Reader:
    """Elements to columns."""

    def __init__(self) -> None:
        self.time_s, self.car = array("d"), array("i")
        self.lon_deg, self.lat_deg = array("d"), array("d")
        self.heading_deg, self.speed_mps = array("f"), array("f")
        self._number: dict[str, int] = {}
        self._now_s = float("nan")

    def element(self, name: str, attributes: dict[str, str]) -> None:
        """Raises `DrivesError`."""
        if name == "timestep":
            self._step(attributes)
        elif name == "vehicle":
            self._vehicle(attributes)

    def _step(self, attributes: dict[str, str]) -> None:
        try:
            time_s = float(attributes["time"])
        except (KeyError, ValueError) as error:
            raise DrivesError(f"a timestep without a time in s: {_cut(attributes)}") from error
        if time_s < self._now_s or not np.isfinite(time_s):
            raise DrivesError(f"the timestep {time_s} comes after {self._now_s}: sort them by time")
        self._now_s = time_s

    def _vehicle(self, attributes: dict[str, str]) -> None:
        try:
            name = attributes["id"]
            lon, lat, heading, speed = (float(attributes[one]) for one in _WANTED[1:])
        except (KeyError, ValueError) as error:
            raise DrivesError(
                f"a vehicle needs {', '.join(_WANTED)}, this one has {_cut(attributes)}: write all "
                "of them with SUMO's --fcd-output, without --fcd-output.attributes"
            ) from error
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise DrivesError(
                f"vehicle {name!r} is at x={lon}, y={lat}, which are no degrees: write the file "
                "with --fcd-output.geo, of a network that knows its projection"
            )
        if not (np.isfinite(heading) and 0 <= speed < 1_000):
            raise DrivesError(f"vehicle {name!r}: angle {heading}, speed {speed} m/s")
        if self._now_s != self._now_s:
            raise DrivesError(f"vehicle {name!r} stands in no timestep")
        if len(self.time_s) >= ROWS_MAX:
            raise DrivesError(f"more than {ROWS_MAX:,} rows: try --device.fcd.period")
        car = self._number.setdefault(name, len(self._number))
        if car >= VEHICLES_MAX:
            raise DrivesError(f"more than {VEHICLES_MAX:,} vehicles")
        self.time_s.append(self._now_s)
        self.car.append(car)
        self.lon_deg.append(lon)
        self.lat_deg.append(lat)
        self.heading_deg.append(heading % 360)
        self.speed_mps.append(speed)

    def drives(self) -> Drives:
        """Raises `DrivesError`: there are none."""
        if not self.time_s:
            raise DrivesError("no vehicle in it: is it SUMO's --fcd-output?")
        time_s, car = np.array(self.time_s), np.array(self.car, np.int32)
        time_s -= time_s[0]
        first_s = np.full(len(self._number), np.inf)
        last_s = np.zeros(len(self._number))
        np.minimum.at(first_s, car, time_s)
        np.maximum.at(last_s, car, time_s)
        places = np.array(self.lon_deg), np.array(self.lat_deg)
        motion = np.array(self.heading_deg), np.array(self.speed_mps)
        return Drives(time_s, car, *places, *motion, first_s, last_s, tuple(self._number))


def read_drives(file: Path) -> Drives:
    """SUMO's floating car data, XML, `.gz` or not; a million rows take some seconds.

    Raises:
        DrivesError: it is something else, or more than there is room for.
        OSError: it cannot be read.
    """
    with _opened(file) as stream:
        return parse_drives(stream)


def parse_drives(stream: BinaryIO) -> Drives:
    """Of an open file; raises as `read_drives`."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.element
    try:
        while piece := stream.read(READ_BYTES):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise DrivesError(f"no whole XML: {error}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DrivesError(f"no whole gzip: {error}") from error
    return reader.drives()


def _opened(file: Path) -> BinaryIO:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


class Recorded:
    """The recorded cars, second by second; a `reports.World`."""

    def __init__(self, drives: Drives, seed: int) -> None:
        self.count, self.now_s = len(drives.names), 0.0
        self.cars = no_cars(self.count)
        draw_levels(self.cars, np.random.default_rng(seed))
        self._drives = drives
        self._done = 0  # rows
        self._speed_mps = np.zeros(self.count)
        _, first = np.unique(drives.car, return_index=True)
        self._places = Positions(*(column[first].astype(np.float64) for column in drives[2:5]))
        self._take()

    def step(self) -> None:
        """One second of all cars."""
        self.now_s += STEP_S
        self._take()

    def _take(self) -> None:
        drives = self._drives
        end = int(np.searchsorted(drives.time_s, self.now_s, side="right"))
        cars, newest = np.unique(drives.car[self._done : end][::-1], return_index=True)
        rows = end - 1 - newest  # of several in a second the last counts
        for place, told in zip(self._places, drives[2:5], strict=True):
            place[cars] = told[rows]
        self._speed_mps[cars] = drives.speed_mps[rows]
        self._done = end
        on_road = (drives.first_s <= self.now_s) & (self.now_s < drives.last_s)
        kernels.follow(STEP_S, on_road, self._speed_mps, self.cars)

    def positions(self, rows: Array | None = None) -> Positions:
        """Of all cars, or of these rows."""
        return Positions(*(place[... if rows is None else rows].copy() for place in self._places))

    def in_tunnel(self) -> Array:
        """None: a recording says nothing of sky and network."""
        return np.zeros(self.count, bool)
