"""A car in hands, without a network: what changes with its keys."""

from dataclasses import replace

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.sandbox.car import ANY, Shared, Stall
from motorcade.sandbox.control import CarSpec, Change, Key
from motorcade.sandbox.machine import PARKED
from motorcade.vehicle.errors import VehicleError
from motorcade.vehicle.signed.program import Signing
from tests.vehicle.cloud import counting_entropy, vehicle_file
from tests.vehicle.signed.car import public
from tests.wire.tesla_command.test_jws import token

SIGNER = 3
PAIRED = Key(public(SIGNER).hex(), "OWNER")


def stall(keys: tuple[Key, ...] = (PAIRED,), keys_max: int = 20) -> Stall:
    file = vehicle_file()
    spec = CarSpec(
        vin=file.vin,
        token=file.token,
        mqtt=file.mqtt,
        cert_file="",
        key_file="",
        ca_file="",
        command_keys={},
        seed=1,
        doing=PARKED,
        signed_commands=Signing.SUPPORTED.value,
        keys=keys,
    )
    config = replace(VehicleConfig(), signing_keys_max=keys_max)
    shared = Shared(SimulatedClock(1_790_000_000_000_000), config, counting_entropy(), {})
    return Stall(spec, shared, speed=0.0)


def test_a_configuration_goes_with_its_key_and_comes_back() -> None:
    car = stall()
    assert car._telemetry.take(1, token(number=SIGNER)) == ""
    assert car._stream._settings is not None
    car.change(Change(car.spec.vin, unpair=ANY))
    assert car._stream._settings is None
    car.change(Change(car.spec.vin, pair=PAIRED))
    assert car._stream._settings is not None


def test_a_renewed_car_was_never_configured() -> None:
    car = stall()
    car._telemetry.take(7, token(number=SIGNER))
    car.renew(car.spec, speed=0.0)
    assert car._stream._settings is None
    assert car._telemetry.take(1, token(number=SIGNER)) == ""  # older than what it forgot
    assert car._stream._settings is not None


def test_a_key_list_that_no_car_has_is_refused() -> None:
    with pytest.raises(VehicleError, match="signing_keys_max"):
        stall(keys_max=33)
