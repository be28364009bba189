"""`tesla-fleet-api`, unmodified, reads vehicles, products, the account, and side data."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.identity.scopes import SCOPES
from tests.engines.install import tesla_fleet_api
from tests.platform_process import Platform, add_vehicles, run_motorcade

VIN = "5YJ3E1EA7KF000001"
CLIENT = Path(__file__).with_name("reading_client.py")
CLIENT_S_MAX = 120


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("reading")
    platform = Platform(directory / "data")
    platform.start()
    try:
        add_vehicles(platform.data, [VIN], directory / "vehicles")
        yield platform
    finally:
        assert platform.stop() == 0, platform.log()


def read(platform: Platform, version: str, *scopes: str) -> dict[str, Any]:
    words = ["--scopes", " ".join(scopes), "--data", str(platform.data)]
    token = json.loads(run_motorcade("token", *words))["access_token"]
    command = [str(tesla_fleet_api(version)), str(CLIENT), platform.ready["api"]["url"], token, VIN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_S_MAX)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("version", ["1.5.0", "1.18.1"])
def test_it_reads_what_a_token_with_every_scope_may(platform: Platform, version: str) -> None:
    told = read(platform, version, *SCOPES)
    assert told.pop("status") == "ok"
    gone, asleep = told.pop("gone"), told.pop("vehicle_data")
    assert gone["raised"] == "NotFound"
    assert asleep["raised"] == "VehicleOffline"  # by the 408's own text
    assert {name: row for name, row in told.items() if "raised" in row} == {}
    answers = {name: row["response"] for name, row in told.items()}
    assert answers["vehicle"]["vin"] == VIN
    assert answers["products"][0]["vin"] == VIN
    assert answers["region"]["fleet_api_base_url"].startswith("https://fleet-api.prd.na.")
    assert answers["me"]["vault_uuid"] == "owner"
    assert answers["mobile_enabled"]["result"] is True
    assert answers["fleet_status"]["unpaired_vins"] == [VIN]
    assert answers["telemetry_config"]["config"] is None
    assert answers["drivers"] == answers["invitations"] == []


def test_it_raises_its_own_errors_where_a_scope_is_missing(platform: Platform) -> None:
    told = read(platform, "1.5.0", "vehicle_charging_cmds")
    for name in ("vehicle", "vehicle_data", "me", "drivers"):
        assert told[name]["raised"] == "Forbidden", name
    assert told["region"]["response"]["region"] == "na"
