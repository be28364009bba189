"""What the car does for each command, tables by area: when it refuses, and what it changes. No IO.

A refusal is one of Tesla's short reasons (`already_set`, `charging`, ...) or one of ours for what
would be dangerous. The API has a table of its own for parameters; the car checks them again,
because it obeys a signature, not a server's good behaviour.
"""

from typing import Final

from motorcade.vehicle.actions import (
    charging,
    climate,
    doors,
    media,
    navigation,
    other,
    schedules,
    security,
)
from motorcade.vehicle.actions.action import ACCEPTED as ACCEPTED
from motorcade.vehicle.actions.action import ASLEEP as ASLEEP
from motorcade.vehicle.actions.action import UNKNOWN, Action
from motorcade.vehicle.actions.action import Parameters as Parameters
from motorcade.vehicle.model import Car

WAKE_UP: Final = "wake_up"

ACTIONS: Final[dict[str, Action]] = {
    **doors.ACTIONS,
    **charging.ACTIONS,
    **schedules.ACTIONS,
    **climate.ACTIONS,
    **media.ACTIONS,
    **navigation.ACTIONS,
    **security.ACTIONS,
    **other.ACTIONS,
}


def refusal(car: Car, name: str, parameters: Parameters, *, asleep_too: bool = False) -> str:
    """Why the car does not carry this out now; empty if it does. `asleep_too`: asked of the body
    controller, which works while the rest of the car sleeps."""
    action = ACTIONS.get(name)
    if action is None:
        return UNKNOWN
    if car.asleep and name != WAKE_UP and not asleep_too:
        return ASLEEP
    return action.refuse(car, parameters)


def apply(car: Car, name: str, parameters: Parameters) -> None:
    """Carry it out. `refusal` was empty in this very moment."""
    ACTIONS[name].apply(car, parameters)
    if name in doors.OPENING:
        car.call()
    car.use()
