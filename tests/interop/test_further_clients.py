"""Further programs for the Fleet API that we did not write, unmodified, with a car that drives.

`tescmd` is a command line that signs by an implementation of its own; `teslajsonpy` is Home
Assistant's older client, which knows plain commands and reads strictly.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.identity.scopes import SCOPES
from tests.engines.install import tescmd, teslajsonpy
from tests.interop.driven import Car, make_key, until
from tests.interop.town import Town
from tests.platform_process import run_motorcade

CLIENT = Path(__file__).with_name("teslajsonpy_client.py")
FIRST_VIN = 950_001
CLIENT_S_MAX = 120

pytestmark = pytest.mark.timeout(600)  # a first run installs the clients


@pytest.fixture
def car(town: Town, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Car]:
    tests = [item.name for item in request.session.items if item.path == request.path]
    car = Car(town, tmp_path / "car", FIRST_VIN + tests.index(request.node.name))
    car.start()
    try:
        yield car
    finally:
        car.stop()


def owners_token(town: Town) -> str:
    words = ["--scopes", " ".join(SCOPES), "--data", str(town.platform.data)]
    return str(json.loads(run_motorcade("token", *words))["access_token"])


class Tescmd:
    """The command line, in a home of its own."""

    def __init__(self, car: Car, home: Path) -> None:
        self._car, self._home = car, home
        url = car.town.platform.ready["api"]["url"]
        self._environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "TESLA_API_BASE_URL": url,
            "TESLA_AUTH_BASE_URL": url,
            "TESLA_ACCESS_TOKEN": owners_token(car.town),
            "TESLA_TOKEN_FILE": str(home / "tokens.json"),
            "TESLA_SETUP_TIER": "full",
            "TESLA_CACHE_ENABLED": "false",
        }

    def take_key(self, key: Path) -> None:
        """Put a key where it looks for its own."""
        place = self._home / ".config" / "tescmd" / "keys"
        place.mkdir(parents=True)
        shutil.copy(key, place / "private_key.pem")
        shutil.copy(key.with_suffix(".pub"), place / "public_key.pem")

    def __call__(self, *words: str, protocol: str = "signed") -> dict[str, Any]:
        done = subprocess.run(
            [str(tescmd()), "-m", "tescmd", "--vin", self._car.vin, "--format", "json", *words],
            env={**self._environment, "TESLA_COMMAND_PROTOCOL": protocol},
            capture_output=True,
            text=True,
            timeout=CLIENT_S_MAX,
            check=False,
        )
        said: dict[str, Any] = json.loads(done.stderr if done.returncode else done.stdout)
        assert said["ok"] == (done.returncode == 0), said
        return said


DONE = {"response": {"result": True, "reason": ""}}


def test_tescmd_reads_and_signs_in_both_domains(car: Car, tmp_path: Path) -> None:
    key = make_key(tmp_path, "app")
    ask = Tescmd(car, tmp_path / "home")
    listed = ask("vehicle", "list")["data"]
    assert listed  # a page of the town's cars, ours perhaps on another
    assert all(len(entry["vin"]) == 17 for entry in listed)
    data = ask("vehicle", "data")["data"]  # refused whole if one member has another type
    assert data["vin"] == car.vin
    assert ask("security", "flash", protocol="unsigned")["data"] == DONE
    ask.take_key(key)
    assert not ask("security", "lock")["ok"]  # the car does not know its key
    car.pair(key)
    assert ask("security", "lock")["data"] == DONE  # VCSEC
    assert ask("security", "honk")["data"] == DONE  # Infotainment
    assert ask("charge", "limit", car.vin, "61")["data"] == DONE
    until(lambda: car.data_of("charge_state")["charge_limit_soc"] == 61)


def test_teslajsonpy_reads_and_commands(car: Car) -> None:
    url = car.town.platform.ready["api"]["url"]
    words = [str(teslajsonpy()), str(CLIENT), url, owners_token(car.town), car.vin]
    done = subprocess.run(words, capture_output=True, text=True, timeout=CLIENT_S_MAX, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["state"] == "online"
    assert 0 < said["battery_level"] <= 100
    assert isinstance(said["is_locked"], bool)
    assert said["shift_state"] in ("P", "D")
    assert said["has_location"]
    assert said["charge_limit_soc"] == 64
