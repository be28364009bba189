"""Promises about what an owner keeps from apps: zones without location, and how exact it is.

1. **Durable, shared**, as the registry's other promises; `changes` is another number then.
2. **Of a vehicle**, whoever drives it, and gone from every answer with the vehicle.

Methods may be called from any thread. Those that change something write to disk: call them from a
thread of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

EVERY_APP: Final = ""
"""In place of a client id. No app has it."""


class Zone(NamedTuple):
    """A circle on the ground inside of which apps do not hear where the vehicle is."""

    id: int
    name: str
    latitude_deg: float
    longitude_deg: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the owner of one vehicle set."""

    zones: tuple[Zone, ...] = ()
    grids_m: Mapping[str, int] = field(default_factory=dict)  # by client id, or EVERY_APP

    def grid_m(self, client_id: str) -> int:
        """The width of the grid that this app's positions lie on; 0: as exact as they are."""
        return max(self.grids_m.get(client_id, 0), self.grids_m.get(EVERY_APP, 0))


class Privacy(Protocol):
    """See the module."""

    def limits(self, vehicle_id: int) -> Limits:
        """What was set for a vehicle; none for one that is not there."""

    def limited(self) -> Mapping[int, Limits]:
        """By vehicle id, what was set for each vehicle of which anything was."""

    def add_zone(
        self,
        vehicle_id: int,
        name: str,
        latitude_deg: float,
        longitude_deg: float,
        radius_m: float,
    ) -> Zone:
        """Make a zone.

        Raises:
            InvalidNameError: the name or the circle cannot be; the text says why.
            NotFoundError: no such vehicle.
            TooManyError: the vehicle has `registry.privacy_zones_max`.
        """

    def remove_zone(self, vehicle_id: int, zone_id: int) -> Zone:
        """End a zone. Raises `NotFoundError`."""

    def set_grid(self, vehicle_id: int, client_id: str, grid_m: int) -> None:
        """Put the positions that an app hears, or EVERY_APP, on a grid so wide; 0: no more.

        Raises:
            InvalidNameError: not 0 to `registry.privacy_grid_m_max`.
            NotFoundError: no such vehicle or app.
        """

    def changes(self) -> int:
        """Another number than the last time if anything may have been written since, by anyone."""
