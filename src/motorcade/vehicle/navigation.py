"""Where the car was told to go. It drives its round all the same; near a stop it arrives. No IO."""

import math
from typing import TYPE_CHECKING, Final

from motorcade.vehicle.body import Stop
from motorcade.vehicle.route import EARTH_RADIUS_M, Place

if TYPE_CHECKING:
    from motorcade.vehicle.model import Car

STOPS_MAX: Final = 20
ARRIVED_M: Final = 150.0
DETOUR: Final = 1.3  # roads are so much longer than the straight line
PACE_MPS: Final = 12.0  # a journey's mean speed
RANGE_MPJ: Final = 1 / 620  # metres per joule, about 17 kWh per 100 km


def distance_m(place: Place, latitude_deg: float, longitude_deg: float) -> float:
    """Straight, on a sphere; exact enough for a car's journey."""
    north = math.radians(latitude_deg - place.latitude_deg)
    east = math.radians((longitude_deg - place.longitude_deg + 180.0) % 360.0 - 180.0)
    middle = math.radians((latitude_deg + place.latitude_deg) / 2)
    return EARTH_RADIUS_M * math.hypot(north, east * math.cos(middle))


def left_m(car: "Car") -> float | None:
    """To the next stop by road; `None` if there is none, or only its name is known."""
    if not car.body.stops:
        return None
    stop = car.body.stops[0]
    if stop.latitude_deg is None or stop.longitude_deg is None:
        return None
    return distance_m(car.place, stop.latitude_deg, stop.longitude_deg) * DETOUR


def add(stops: list[Stop], new: list[Stop], order: int) -> None:
    """`order` is Tesla's: 0 and 1 replace the journey, 2 comes first, 3 last."""
    if order == 2:
        stops[:0] = new
    elif order == 3:
        stops.extend(new)
    else:
        stops[:] = new
    del stops[STOPS_MAX:]


def tick(car: "Car") -> None:
    """Take the stop off the list that the car has come to."""
    left = left_m(car)
    if left is not None and left <= ARRIVED_M:
        del car.body.stops[0]
