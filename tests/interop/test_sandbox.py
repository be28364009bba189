"""`tesla-fleet-api`, unmodified, as an app under test: against a world of the sandbox."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.sandbox.client import Sandbox, World
from motorcade.sandbox.running import running_sandbox
from tests.engines.install import tesla_fleet_api

VERSIONS = ("1.5.0", "1.18.1")
CLIENT = Path(__file__).with_name("signed_client.py")
DONE = {"result": True, "reason": ""}
LATE = "TeslaFleetMessageFaultTimeExpired"

pytestmark = pytest.mark.timeout(600)  # a first run installs the clients


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


class Client:
    """One program with the client's library, for a world's app and its first car."""

    def __init__(self, version: str, world: World, directory: Path) -> None:
        key = directory / f"{version}.pem"
        key.write_text(world.private_key_pem)
        words = [str(tesla_fleet_api(version)), str(CLIENT), world.api_url, world.access_token]
        self._process = subprocess.Popen(
            [*words, world.vehicle.vin, str(key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, kind: str, name: str, *arguments: Any) -> Any:
        """What the library says: its answer's `response`, or its error's name."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind} {json.dumps([name, *arguments])}\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return said.get("error") or said["said"]["response"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_and_signed_commands_and_every_fault(
    sandbox: Sandbox, tmp_path: Path, version: str
) -> None:
    with sandbox.world() as world:
        client, car = Client(version, world, tmp_path), world.vehicle
        assert client.call("plain", "vehicle_data")["vin"] == car.vin
        assert client.call("plain", "flash_lights") == DONE
        assert client.call("signed", "honk_horn") == DONE  # Infotainment
        assert client.call("signed", "door_lock") == DONE  # VCSEC
        car.refuse("set_charge_limit", "could_not_set", times=1)
        refused = {"result": False, "reason": "could_not_set"}
        assert client.call("signed", "set_charge_limit", 70) == refused
        car.unpair()
        assert client.call("signed", "honk_horn") == "TeslaFleetMessageFaultUnknownKeyId"
        car.pair()
        car.set_signed_commands("none")
        assert client.call("signed", "honk_horn") == "InvalidResource"  # 422
        car.set_signed_commands("required")
        assert client.call("plain", "flash_lights") == "Forbidden"
        assert client.call("signed", "honk_horn") == DONE
        car.set_signed_commands("supported")
        for answer, name in (
            (408, "VehicleOffline"),
            (429, "RateLimited"),
            (503, "ServiceUnavailable"),
            (401, "OAuthExpired"),
        ):
            world.fail_next(answer)
            assert client.call("plain", "vehicle_data") == name
        car.sleep()
        assert client.call("plain", "vehicle_data") == "VehicleOffline"
        world.speed_up(50)
        assert client.call("plain", "wake_up")["vin"] == car.vin
        world.speed_up(1)  # or it sleeps again in 12 s
        car.lose_network()
        assert client.call("plain", "vehicle_data") == "VehicleOffline"
        car.regain_network()
        car.wake()
        car.skew_clock(90)
        assert client.call("signed", "honk_horn") == LATE  # and takes the car's time from it
        assert client.call("signed", "honk_horn") == DONE
        world.expire_tokens()
        assert client.call("plain", "vehicle_data") == "OAuthExpired"
        client.close()
