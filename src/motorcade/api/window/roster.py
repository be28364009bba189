"""Which vehicle stands in which slot of live state, and which of them somebody searches for.

The registry knows vehicles, live state knows tokens; slots that are no vehicle's (energy sites,
removed ones) are nobody's. Built anew when the registry's vehicles change, and for new slots only
otherwise. Used by the ticker's thread and read by others: what is replaced is never changed.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken, unpack_token
from motorcade.registry.port import Registry, Vehicle
from motorcade.state.port import FleetColumns

PIECE: Final = 5_000  # vehicles read at once
VIN_SUFFIX_MIN: Final = 4  # shorter ends of VINs find too much


class Roster:
    """The vehicles by slot, as of the last `update`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._changes: int | None = None
        self._epoch = -1
        self.serial = 0  # rises with each change
        self.by_token: Mapping[VehicleToken, Vehicle] = {}
        self.vehicles: list[Vehicle | None] = []  # by slot
        self.known = np.zeros(0, np.uint8)  # by slot: a vehicle's
        self.slot_of: dict[int, int] = {}  # by id
        self.names: list[str] = []  # by slot, lower case

    def update(self, columns: FleetColumns, epoch: int) -> None:
        """Take in new slots and the registry's changes. Raises `RegistryUnavailableError`."""
        changes = self._registry.changes()
        if changes != self._changes or epoch != self._epoch:
            if changes != self._changes:
                self.by_token = self._read()
            self._changes, self._epoch = changes, epoch
            self.vehicles, self.slot_of, self.names = [], {}, []
            self.serial += 1
        first = len(self.vehicles)
        if first == len(columns):
            return
        high, low = columns.token_high[first:].tolist(), columns.token_low[first:].tolist()
        found = [self.by_token.get(unpack_token(*halves)) for halves in zip(high, low, strict=True)]
        self.vehicles = self.vehicles + found
        self.names = self.names + [_name_of(vehicle) for vehicle in found]
        self.slot_of = self.slot_of | {
            vehicle.id: first + place for place, vehicle in enumerate(found) if vehicle is not None
        }
        self.known = np.array([vehicle is not None for vehicle in self.vehicles], np.uint8)
        self.serial += 1

    def _read(self) -> dict[VehicleToken, Vehicle]:
        found: dict[VehicleToken, Vehicle] = {}
        while True:
            piece = self._registry.vehicles(len(found), PIECE)
            found |= {vehicle.token: vehicle for vehicle in piece}
            if len(piece) < PIECE:
                return found

    def never_sent(self, mine: Callable[[Vehicle], bool]) -> list[Vehicle]:
        """The vehicles that are `mine` and have no slot."""
        slots = self.slot_of
        return [one for one in self.by_token.values() if one.id not in slots and mine(one)]

    def mask(self, mine: Callable[[Vehicle], bool]) -> npt.NDArray[np.uint8]:
        """1 by slot: the vehicles that are `mine`."""
        return np.array([one is not None and mine(one) for one in self.vehicles], np.uint8)

    def search(self, text: str, *, by_vin: bool) -> npt.NDArray[np.uint8]:
        """1 by slot: the name has the text in it, or the VIN ends in it."""
        wanted = text.strip().lower()
        found = np.fromiter((wanted in name for name in self.names), np.uint8, len(self.names))
        if by_vin and len(wanted) >= VIN_SUFFIX_MIN:
            end = wanted.upper()
            for slot, vehicle in enumerate(self.vehicles):
                if vehicle is not None and vehicle.vin.endswith(end):
                    found[slot] = 1
        return found & self.known


def _name_of(vehicle: Vehicle | None) -> str:
    return "" if vehicle is None else vehicle.display_name.lower()
