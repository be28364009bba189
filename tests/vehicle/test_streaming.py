"""A configured stream: which fields go when, and what it takes to configure a car."""

import base64
import json
from typing import Any

import pytest
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla

from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.model import Car
from motorcade.vehicle.program import Moment
from motorcade.vehicle.samples import signals_of, tesla_values
from motorcade.vehicle.signed.keychain import Keychain
from motorcade.vehicle.signed.program import SignedProgram, Signing
from motorcade.vehicle.signed.telemetry import TelemetryKeeper
from motorcade.vehicle.streaming import FieldPace
from motorcade.wire.command.messages import (
    APPROVE_KEY,
    REMOVE_KEY,
    SIGNED_COMMAND,
    TELEMETRY_CONFIG,
)
from motorcade.wire.tesla_command.messages import VCSEC
from motorcade.wire.tesla_command.telemetry_config import (
    FieldSetting,
    InvalidConfigError,
    TelemetrySettings,
    read_settings,
)
from tests.vehicle.cloud import counting_entropy
from tests.vehicle.signed.car import SignedCar, Signer, public
from tests.vehicle.signed.test_key_list import remove
from tests.wire.tesla_command import test_jws

CONFIG: dict[str, Any] = {
    "hostname": "telemetry.example.com",
    "port": 4443,
    "ca": "-----BEGIN CERTIFICATE-----",
    "fields": {"Soc": {"interval_seconds": 10}, "Location": {"interval_seconds": 1}},
}


def number(value: float) -> tesla.Value:
    return tesla.Value(double_value=value)


def place(latitude: float, longitude: float) -> tesla.Value:
    value = tesla.Value()
    value.location_value.latitude, value.location_value.longitude = latitude, longitude
    return value


def sent(setting: FieldSetting, values: list[tesla.Value]) -> list[int]:
    """At which seconds a field goes, its values coming once per second."""
    pace = FieldPace({"Soc": setting})
    return [at for at, value in enumerate(values) if pace.due({"Soc": value}, float(at))]


def test_a_field_goes_when_it_changed_and_its_interval_is_over() -> None:
    rising = [number(at) for at in range(10)]
    assert sent(FieldSetting(3), rising) == [0, 3, 6, 9]
    assert sent(FieldSetting(3), [number(1)] * 10) == [0]
    late = [number(1)] * 5 + [number(2)] * 5
    assert sent(FieldSetting(3), late) == [0, 5]


def test_small_changes_add_up_and_are_none_before() -> None:
    rising = [number(at * 0.4) for at in range(10)]
    assert sent(FieldSetting(1, minimum_delta=1.0), rising) == [0, 3, 6, 9]


def test_a_place_s_delta_is_in_metres() -> None:
    north = [place(52.5 + at * 10 / 111_320, 13.4) for at in range(10)]
    assert sent(FieldSetting(1, minimum_delta=25), north) == [0, 3, 6, 9]


def test_what_does_not_change_is_said_again_when_it_is_due() -> None:
    same = [number(1)] * 10
    assert sent(FieldSetting(1, resend_interval_seconds=4), same) == [0, 4, 8]


def test_only_fields_that_were_asked_for_go() -> None:
    pace = FieldPace({"Soc": FieldSetting(1), "Gear": FieldSetting(1)})
    assert set(pace.due({"Soc": number(1), "VehicleSpeed": number(2)}, 0.0)) == {"Soc"}


def test_a_car_has_values_for_tesla_s_fields() -> None:
    values = tesla_values(Car(1), signals_of(Car(1)))
    assert {"Soc", "Location", "VehicleSpeed", "DoorState", "Gear"} <= set(values)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hostname": ""}, "hostname"),
        ({"hostname": "a b"}, "hostname"),
        ({"port": 0}, "port"),
        ({"port": 70_000}, "port"),
        ({"fields": {}}, "fields"),
        ({"fields": {"Nonsense": {"interval_seconds": 1}}}, "Nonsense"),
        ({"fields": {"Soc": {"interval_seconds": 0}}}, "interval_seconds"),
        ({"fields": {"Soc": {}}}, "interval_seconds"),
        ({"fields": {"Soc": {"interval_seconds": 1, "minimum_delta": -1}}}, "minimum_delta"),
        ({"exp": "soon"}, "exp"),
    ],
)
def test_what_no_car_could_obey(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidConfigError, match=text):
        read_settings({**CONFIG, **change})


def token(config: dict[str, Any] = CONFIG, number_: int = 3) -> str:
    issuer = base64.b64encode(public(number_)).decode()
    claims = {**config, "iss": issuer, "aud": "com.tesla.fleet.TelemetryClient"}
    return test_jws.sign_parts(json.dumps(claims).encode(), number_)


class Told:
    """A keeper, and what it told."""

    def __init__(self, disk: MemoryDisk, role: str = "FM") -> None:
        self.keychain = Keychain(disk, entropy=counting_entropy(), keys_max=20)
        if role:
            self.keychain.put(public(3), role, 9)
        self.settings: list[TelemetrySettings | None] = []
        self.keeper = TelemetryKeeper(disk, self.keychain, self.settings.append)


def test_a_paired_key_configures_and_the_car_remembers() -> None:
    disk = MemoryDisk()
    told = Told(disk)
    assert told.keeper.take(1, token()) == ""
    assert told.settings == [read_settings(CONFIG)]
    again = Told(disk)
    assert again.settings == [read_settings(CONFIG)]
    assert again.keeper.take(2, "") == ""
    assert again.settings[-1] is None
    assert Told(disk).settings == [None]


@pytest.mark.parametrize("role", ["", "RIDER", "SERVICE"])
def test_who_may_not_read_configures_nothing(role: str) -> None:
    told = Told(MemoryDisk(), role)
    assert told.keeper.take(1, token()) == "key_not_paired"
    assert told.keeper.take(1, token(number_=4)) == "key_not_paired"
    assert told.settings == []


def test_a_key_that_goes_takes_its_stream_along_and_brings_it_back() -> None:
    disk = MemoryDisk()
    told = Told(disk)
    told.keeper.take(1, token())
    told.keychain.put(public(4), "OWNER", 9)
    told.keeper.recheck()  # another key's change is none of this stream's
    assert len(told.settings) == 1
    told.keychain.put(public(3), "SERVICE", 9)  # may read nothing
    told.keeper.recheck()
    told.keychain.remove(public(3))
    told.keeper.recheck()
    assert told.settings[1:] == [None]
    assert Told(disk, role="").settings == [None]  # nor after a restart
    told.keychain.put(public(3), "VEHICLE_MONITOR", 9)
    told.keeper.recheck()
    assert told.settings[2:] == [read_settings(CONFIG)]


@pytest.mark.parametrize("how", ["command", "signed", "demoted"])
def test_the_program_rechecks_whenever_the_key_list_changes(how: str) -> None:
    car = SignedCar()
    car.pair(2)
    car.pair(3, "DRIVER")
    settings: list[TelemetrySettings | None] = []
    keeper = TelemetryKeeper(car.disk, car.keychain, settings.append)
    program = SignedProgram(Signing.SUPPORTED, car.receiver, keeper)
    now = Moment(car.now_s, round(car.now_s * 1e6))
    program.run(TELEMETRY_CONFIG, {"version": 1, "token": token()}, now)
    assert settings == [read_settings(CONFIG)]
    if how == "command":
        program.run(REMOVE_KEY, {"public_key": public(3).hex()}, now)
    elif how == "demoted":
        approved = {"public_key": public(3).hex(), "role": "RIDER"}
        program.run(APPROVE_KEY, approved, now)
    else:
        owner = Signer(car, domain=VCSEC)
        owner.greet()
        message = owner.sign(remove(3))
        routable = base64.b64encode(message.SerializeToString()).decode()
        ended = program.run(SIGNED_COMMAND, {"routable_message": routable}, now)
        assert (ended.reason, ended.reports) == ("", True)
    assert settings[1:] == [None]


def test_a_forged_or_senseless_token_is_refused() -> None:
    told = Told(MemoryDisk())
    assert told.keeper.take(1, token()[:-4] + "AAAA") == "invalid_token"
    assert told.keeper.take(1, token({**CONFIG, "port": 0})) == "invalid_token"
    assert told.settings == []


def test_an_older_version_changes_nothing() -> None:
    told = Told(MemoryDisk())
    assert told.keeper.take(5, token()) == ""
    assert told.keeper.take(4, "") == ""
    assert len(told.settings) == 1


def test_a_damaged_file_is_told_and_streams_nothing() -> None:
    disk = MemoryDisk()
    Told(disk).keeper.take(1, token())
    disk.files["telemetry_config"][20] ^= 1
    again = Told(disk)
    assert "telemetry_config" in again.keeper.damage
    assert again.settings == []
