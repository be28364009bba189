"""Tesla's protocol spoken by clients that we did not write, to a car that drives.

`tesla-fleet-api` (the client in Home Assistant), an old and a new version, unmodified, in both
domains, against the real platform and `motorcade drive`.
"""

import json
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tesla_protocol.telemetry.vehicle_data_pb2 import Field, Payload

from tests.engines.install import tesla_fleet_api
from tests.interop.driven import Car, make_key, until
from tests.interop.town import Town
from tests.platform_process import stored

VERSIONS = ("1.5.0", "1.18.1")
CLIENT = Path(__file__).with_name("signed_client.py")
FIRST_VIN = 900_001

pytestmark = pytest.mark.timeout(600)  # a first run installs the clients


class Client:
    """One program with the client's library, for one car and one key."""

    def __init__(self, version: str, town: Town, vin: str, key: Path) -> None:
        ready = town.platform.ready
        words = [str(tesla_fleet_api(version)), str(CLIENT), ready["api"]["url"]]
        words += [ready["admin_token"], vin, str(key)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _call(self, kind: str, name: str, *arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind} {json.dumps([name, *arguments])}\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def signed(self, name: str, *arguments: Any) -> Any:
        """What the library says of a signed command: result and reason, or the error's name."""
        said = self._call("signed", name, *arguments)
        return said.get("error") or said["said"]["response"]

    def plain(self, name: str, *arguments: Any) -> Any:
        said = self._call("plain", name, *arguments)
        return said.get("error") or said["said"]["response"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(FIRST_VIN, FIRST_VIN + 90))


@pytest.fixture
def car(town: Town, tmp_path: Path, numbers: Iterator[int]) -> Iterator[Car]:
    car = Car(town, tmp_path / "car", next(numbers))
    try:
        yield car
    finally:
        car.stop()


@contextmanager
def clients(car: Car, key: Path, *versions: str) -> Iterator[list[Client]]:
    with ExitStack() as stack:
        made = []
        for version in versions:
            client = Client(version, car.town, car.vin, key)
            stack.callback(client.close)
            made.append(client)
        yield made


DONE = {"result": True, "reason": ""}


@pytest.mark.parametrize("version", VERSIONS)
def test_both_domains_of_a_driving_car(car: Car, tmp_path: Path, version: str) -> None:
    car.start()
    key = make_key(tmp_path, "app")
    with clients(car, key, version) as (client,):
        assert client.signed("honk_horn") == "NotOnWhitelistFault"
        assert client.signed("door_lock") == "NotOnWhitelistFault"
        assert car.pair(key)["state"] == "paired"
        assert client.signed("honk_horn") == DONE  # Infotainment
        assert client.signed("door_lock") == DONE  # VCSEC
        assert client.signed("set_charge_limit", 63) == DONE
        assert client.signed("charge_stop") == {"result": False, "reason": "not_charging"}
        until(lambda: car.data_of("charge_state")["charge_limit_soc"] == 63)
        assert car.pair(key, command="unpair")["state"] == "removed"
        assert client.signed("flash_lights") == "TeslaFleetMessageFaultUnknownKeyId"
        assert client.signed("door_lock") == "TeslaFleetMessageFaultUnknownKeyId"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_restarted_car_keeps_its_keys(car: Car, tmp_path: Path, version: str) -> None:
    car.start()
    key = make_key(tmp_path, "app")
    car.pair(key)
    with clients(car, key, version) as (client,):
        assert client.signed("honk_horn") == DONE
        assert client.signed("door_lock") == DONE
        car.stop()
        assert client.signed("honk_horn") == "VehicleOffline"
        car.start()
        assert client.signed("honk_horn") == DONE  # by the session info of fault 15, no new key
        assert client.signed("door_lock") == DONE


def test_an_approval_waits_for_its_car(car: Car, tmp_path: Path) -> None:
    key = make_key(tmp_path, "app")
    assert car.pair(key, "--role", "driver", "--wait", "0")["state"] == "waiting"
    car.start()
    with clients(car, key, "1.18.1") as (client,):
        until(lambda: client.signed("honk_horn") == DONE)
        refused = "TeslaFleetMessageFaultInsufficientPrivileges"
        assert client.signed("set_pin_to_drive", True, "1234") == refused


def test_a_car_that_wants_signatures(car: Car, tmp_path: Path) -> None:
    car.start("vehicle.signed_commands=required")
    key = make_key(tmp_path, "app")
    car.pair(key)
    with clients(car, key, *VERSIONS) as both:
        for client in both:
            assert client.signed("flash_lights") == DONE
            assert client.plain("flash_lights") == "Forbidden"
    answer = car.town.ask("POST", f"/{car.vin}/command/flash_lights")
    assert answer.body["error"].startswith("Tesla Vehicle Command Protocol required")


def test_a_car_without_the_protocol(car: Car, tmp_path: Path) -> None:
    car.start("vehicle.signed_commands=none")
    key = make_key(tmp_path, "app")
    with clients(car, key, *VERSIONS) as both:
        for client in both:
            assert client.signed("flash_lights") == "InvalidResource"  # 422
            assert client.plain("flash_lights") == DONE


def test_a_signed_configuration_makes_the_car_stream_what_it_says(car: Car, tmp_path: Path) -> None:
    car.start()
    key = make_key(tmp_path, "app")
    ready = car.town.platform.ready
    config = {
        "hostname": ready["telemetry"]["host"],
        "port": ready["telemetry"]["port"],
        "ca": Path(ready["ca_file"]).read_text(),
        "fields": {
            "Soc": {"interval_seconds": 1, "resend_interval_seconds": 2},
            "VehicleSpeed": {"interval_seconds": 1},
            "Location": {"interval_seconds": 2, "minimum_delta": 5},
        },
    }
    with clients(car, key, "1.18.1") as (client,):
        asked = {"vins": [car.vin], "config": config}
        skipped = client.signed("fleet_telemetry_config_create", asked)["skipped_vehicles"]
        assert skipped["missing_key"] == [car.vin]
        car.pair(key, "--role", "fm")
        said = client.signed("fleet_telemetry_config_create", asked)
        assert said["updated_vehicles"] == 1
    streamed: list[Payload] = []

    def enough() -> bool:
        lines = stored(car.town.platform.data, car.vin, "telemetry")
        theirs = [line for line in lines if line["encoding"] == "application/x-tesla-telemetry"]
        streamed[:] = [Payload.FromString(b64decode(line["payload_base64"])) for line in theirs]
        return len(streamed) >= 3

    until(enough)
    told = {Field.Name(datum.key) for payload in streamed for datum in payload.data}
    assert "Soc" in told
    assert told <= set(config["fields"])
