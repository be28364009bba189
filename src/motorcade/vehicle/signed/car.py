"""The simulated car behind the receiver: its actions, its signals, whether it sleeps."""

from collections.abc import Mapping
from typing import Any

from motorcade.vehicle import actions
from motorcade.vehicle.model import Car
from motorcade.vehicle.samples import signals_of


class CarMachine:
    """Implements `receiver.Machine`."""

    def __init__(self, car: Car) -> None:
        self._car = car

    def refusal(self, name: str, parameters: Mapping[str, Any], *, asleep_too: bool) -> str:
        return actions.refusal(self._car, name, parameters, asleep_too=asleep_too)

    def apply(self, name: str, parameters: Mapping[str, Any]) -> None:
        actions.apply(self._car, name, parameters)

    def signals(self) -> Mapping[str, Any]:
        return signals_of(self._car)

    def asleep(self) -> bool:
        return self._car.asleep  # the body controller hears all the same

    def occupied(self) -> bool:
        return self._car.occupied
