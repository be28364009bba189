"""The simulated car behind the receiver: its actions, its signals, whether it sleeps."""

from collections.abc import Mapping
from typing import Any

from motorcade.vehicle.model import Car
from motorcade.vehicle.pins import PinKeeper
from motorcade.vehicle.samples import signals_of


class CarMachine:
    """Implements `receiver.Machine`."""

    def __init__(self, car: Car, pins: PinKeeper) -> None:
        self._car, self._pins = car, pins

    def refusal(self, name: str, parameters: Mapping[str, Any], *, asleep_too: bool) -> str:
        return self._pins.judge(self._car, name, parameters, asleep_too=asleep_too)

    def apply(self, name: str, parameters: Mapping[str, Any]) -> None:
        self._pins.apply(self._car, name, parameters)

    def signals(self) -> Mapping[str, Any]:
        return signals_of(self._car)

    def asleep(self) -> bool:
        return self._car.asleep  # the body controller hears all the same

    def occupied(self) -> bool:
        return self._car.occupied
