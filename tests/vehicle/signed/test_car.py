"""A simulated car behind the receiver: what it does asleep, whether somebody sits in it."""

from typing import Any

import pytest
from tesla_protocol.command.car_server_pb2 import GetVehicleData

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.vehicle.assembly import LinkKind, World, assemble
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.errors import VehicleError
from motorcade.vehicle.model import Car, Habits
from motorcade.vehicle.pins import PinKeeper
from motorcade.vehicle.samples import signals_of
from motorcade.vehicle.signed.car import CarMachine
from motorcade.vehicle.signed.receiver import Receiver
from motorcade.wire.command.limits import CHARGE_LIMIT_PERCENT, TEMPERATURES_DEGC
from motorcade.wire.tesla_command.messages import VCSEC
from tests.vehicle.actions.cars import do, staying_car
from tests.vehicle.cloud import START_US, VIN
from tests.vehicle.signed.car import (
    HONK,
    SignedCar,
    Signer,
    action,
    fault,
    infotainment,
    unsigned,
    vcsec,
)

LOCK, UNLOCK, WAKE, START = (unsigned(RKEAction=number) for number in (1, 0, 30, 20))


def machine(car: Car) -> CarMachine:
    return CarMachine(car, PinKeeper(MemoryDisk(), car, tries_max=3, lock_s=60.0))


class RealCar(SignedCar):
    """The receiver of a car that lives, and sleeps when nobody comes."""

    def __init__(self) -> None:
        super().__init__()
        self.car = staying_car()
        self.car._until_s = 1e9
        self.pair(2)
        self.receiver = Receiver(VIN, self.keychain, machine(self.car), lambda n: b"e" * n)
        self.car.advance(Habits().sleep_after_s)
        assert self.car.asleep


def signer(car: RealCar, domain: int) -> Signer:
    one = Signer(car, domain=domain)
    one.greet()
    return one


def test_wake_by_vcsec_wakes() -> None:
    town = RealCar()
    fob = signer(town, VCSEC)
    assert vcsec(fob.send(WAKE)) is not None
    assert town.car.waking
    town.car.advance(town.car.elapsed_s + Habits().wake_s)
    assert not town.car.asleep


@pytest.mark.parametrize(
    ("payload", "locked", "wakes"), [(LOCK, True, False), (UNLOCK, False, True)]
)
def test_the_body_controller_works_while_the_rest_sleeps(
    payload: bytes, locked: bool, wakes: bool
) -> None:
    town = RealCar()
    town.car.body.locked = not locked
    town.car.body.trunks_open["rear"] = False
    received = town.receive(signer(town, VCSEC).sign(payload))
    assert (received.reason, received.acted) == ("", True)
    assert town.car.body.locked is locked
    assert (town.car.asleep, town.car.waking) == (True, wakes)


def test_infotainment_sleeps() -> None:
    status = infotainment(signer(RealCar(), 3).send(HONK)).actionStatus
    assert (status.result, status.result_reason.plain_text) == (1, "vehicle_is_asleep")


def test_a_signed_wrong_pin_counts_as_a_plain_one_does() -> None:
    town = RealCar()
    town.car.call()
    town.car.advance(town.car.elapsed_s + Habits().wake_s)
    owner = signer(town, 3)

    def valet(on: bool, pin: str) -> str:
        members = {"on": on, "password": pin}
        answer = owner.send(action(vehicleControlSetValetModeAction=members))
        return infotainment(answer).actionStatus.result_reason.plain_text

    assert valet(True, "1234") == ""
    reasons = [valet(False, "0000") for _ in range(4)]
    assert reasons == ["wrong_pin", "wrong_pin", "wrong_pin", "pin_locked"]
    assert valet(False, "1234") == "pin_locked"


def test_occupied_is_somebody_in_it_not_motion() -> None:
    car = Car(1)
    seen = machine(car)
    assert not seen.occupied()
    do(car, "remote_start_drive")
    assert not car.moving
    assert seen.occupied()


def test_limits_are_those_that_the_car_keeps_and_streams() -> None:
    town = RealCar()
    town.machine.said = dict(signals_of(town.car))
    town.receiver = Receiver(VIN, town.keychain, town.machine, lambda n: b"e" * n)
    asked = GetVehicleData()
    asked.getChargeState.SetInParent()
    asked.getClimateState.SetInParent()
    answer = signer(town, 3).send(action(getVehicleData=asked))
    assert fault(answer) == 0
    data: Any = infotainment(answer).vehicleData
    charge, climate = data.charge_state, data.climate_state
    told = (charge.charge_limit_soc_min, charge.charge_limit_soc_max)
    assert told == CHARGE_LIMIT_PERCENT
    assert charge.charge_limit_soc_std == 90
    told = (climate.min_avail_temp_celsius, climate.max_avail_temp_celsius)
    assert told == TEMPERATURES_DEGC
    town.machine.said |= {"hvac_temperature_max": 26.0, "charge_limit_soc_max": 95.0}
    data = infotainment(signer(town, 3).send(action(getVehicleData=asked))).vehicleData
    assert data.climate_state.max_avail_temp_celsius == 26.0
    assert data.charge_state.charge_limit_soc_max == 95


@pytest.mark.parametrize("slots", [0, 33, 64])
def test_more_slots_than_the_mask_has_bits_are_refused(slots: int) -> None:
    world: Any = World(
        LinkKind.MQTT,
        tls=False,
        find=lambda _name: None,  # type: ignore[arg-type,return-value]
        clock=SimulatedClock(START_US),
        config=VehicleConfig(signing_keys_max=slots),
        entropy=lambda n: b"e" * n,
    )
    disk = MemoryDisk()
    with pytest.raises(VehicleError, match="1 to 32"):
        assemble(None, world, seed=1, buffer_disk=disk, journal_disk=disk)  # type: ignore[arg-type]
