"""Cars to try commands on, and rows of what a command does and when it is refused."""

from collections.abc import Callable
from typing import Any

from motorcade.vehicle import actions
from motorcade.vehicle.body import Charge, Equipment
from motorcade.vehicle.model import Car

Change = Callable[[Car], Any]
Effect = tuple[str, dict[str, Any], Change, Change, Any]
"""Command, parameters, what to prepare, what to look at, what it is then."""
Refusal = tuple[str, dict[str, Any], Change, str]
"""Command, parameters, what to prepare, the reason."""

NONE: dict[str, Any] = {}
EVERYTHING = Equipment(
    sun_roof=True, tonneau=True, homelink_devices=1, boombox=True, seat_coolers=True, bioweapon=True
)
NOTHING = Equipment(homelink_devices=0, boombox=False)
NEW_YEAR_S = 1_735_686_000.0  # Wednesday 2025-01-01 00:00 at 15 degrees east


def parked_car(equipment: Equipment = EVERYTHING) -> Car:
    car = Car(1, equipment=equipment, start_unix_s=NEW_YEAR_S)
    assert not car.moving
    return car


def driving_car() -> Car:
    car = parked_car()
    while car.speed_mps < 5:
        car.advance(car.elapsed_s + 1.0)
    return car


def staying_car() -> Car:
    """Parked for as long as you like: a lid is open."""
    car = parked_car()
    car.body.trunks_open["rear"] = True
    return car


def plugged_car(charge: Charge = Charge.STOPPED, percent: float = 40.0) -> Car:
    car = staying_car()
    car.body.charge = charge
    car.body.charging.port_open = True
    car.energy_j = car.battery_j * percent / 100
    return car


def do(car: Car, command: str, /, **parameters: Any) -> None:
    """Carry it out; it must not be refused."""
    assert actions.refusal(car, command, parameters) == actions.ACCEPTED
    actions.apply(car, command, parameters)


def nothing(_car: Car) -> None:
    """Prepare nothing."""


def put(path: str, value: Any) -> Change:
    """Prepare: set an attribute of the car, like `body.climate.defrost`."""

    def change(car: Car) -> None:
        *way, last = path.split(".")
        target: Any = car
        for step in way:
            target = getattr(target, step)
        setattr(target, last, value)

    return change


def get(path: str) -> Change:
    """Look at an attribute of the car."""

    def look(car: Car) -> Any:
        found: Any = car
        for step in path.split("."):
            found = getattr(found, step)
        return found

    return look


def both(*changes: Change) -> Change:
    """Prepare several things."""

    def change(car: Car) -> None:
        for one in changes:
            one(car)

    return change


def check_effect(row: Effect, car: Car) -> None:
    """The command is accepted, changes what it says, and only then."""
    name, parameters, prepare, look, then = row
    prepare(car)
    assert look(car) != then, "the row would hold without the command"
    do(car, name, **parameters)
    assert look(car) == then


def check_refusal(row: Refusal, car: Car) -> None:
    name, parameters, prepare, reason = row
    prepare(car)
    assert actions.refusal(car, name, parameters) == reason
