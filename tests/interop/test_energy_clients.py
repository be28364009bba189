"""Energy sites as clients see them that we did not write, unmodified, against a running site.

`pypowerwall` in its Fleet API mode, and the energy part of `tesla-fleet-api` (the client in Home
Assistant).
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.energy.house import ENERGY, Caller, token
from tests.engines.install import pypowerwall, tesla_fleet_api
from tests.platform_process import Platform, add_vehicles
from tests.vehicle.site.running import add_site, site_running, until
from tests.wire.test_tariff import CONTENT

CLIENT = Path(__file__).with_name("energy_client.py")
VIN = "5YJ3E1EA7KF000001"

pytestmark = pytest.mark.timeout(600)  # a first run installs the clients


class Client:
    """One program with the client's library, for one site."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def __call__(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        said = self.read()
        assert "said" in said, said
        return said["said"]


@contextmanager
def client(python: Path, library: str, caller: Caller) -> Iterator[Client]:
    words = [str(python), str(CLIENT), library, caller.platform.ready["api"]["url"]]
    process = subprocess.Popen(
        [*words, caller.token, str(caller.site_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        made = Client(process)
        assert made.read() == "ready"
        yield made
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    place = tmp_path_factory.mktemp("energy")
    up = Platform(place / "data", ["energy.ledger_commit_s=0.2"])
    up.start()
    try:
        add_vehicles(up.data, [VIN], place / "cars")
        added = add_site(up.data, place / "site", "--batteries", "2")
        scopes = f"{ENERGY} vehicle_device_data"
        caller = Caller(up, added["energy_site_id"], token(up.data, scopes))
        with site_running(Path(added["file"]), up.data, "--rate", "5"):
            caller.until_live()
            yield caller
    finally:
        up.stop()


def test_pypowerwall_reads_and_sets(caller: Caller) -> None:
    with client(pypowerwall(), "pypowerwall", caller) as call:
        assert call("is_connected") is True
        assert call("site_name") == "Home"
        power = call("power")
        assert power["battery"] + power["solar"] + power["site"] == power["load"]
        assert power["load"] > 0
        assert 0 < call("level") <= 100
        assert call("grid_status") == "UP"
        assert call("get_time_remaining") > 0
        system = call("system_status")
        assert system["nominal_full_pack_energy"] == 27_000
        assert system["available_blocks"] == 2
        call("set_reserve", 33)
        assert call("get_reserve", True, True) == pytest.approx(33)
        call("set_mode", "autonomous")
        assert call("get_mode", True) == "autonomous"
        call("set_operation", 44, "self_consumption")
        assert call("get_reserve", True, True) == pytest.approx(44)
        assert call("get_mode", True) == "self_consumption"
        call("set_grid_charging", False)
        assert call("get_grid_charging") is False
        call("set_grid_charging", True)
        assert call("get_grid_charging") is True
        for rule in ("never", "battery_ok", "pv_only"):
            call("set_grid_export", rule)
            assert call("get_grid_export") == rule
        assert call("get_tariff", True) == {}
        call("set_tariff", {"optimization_strategy": "economics", "tariff_content_v2": CONTENT})
        assert call("get_tariff", True) == CONTENT


def test_tesla_fleet_api_reads_and_sets(caller: Caller) -> None:
    updated = {"response": {"code": 201, "message": "Updated"}}
    with client(tesla_fleet_api("1.5.0"), "tesla-fleet-api", caller) as call:
        products = call("products")
        assert [("vin" in one, "energy_site_id" in one) for one in products["response"]] == [
            (True, False),
            (False, True),
        ]
        assert call("live_status")["response"]["total_pack_energy"] == 27_000
        assert call("backup", 21) == updated
        assert call("operation", "backup") == updated
        assert call("storm_mode", False) == updated
        assert call("off_grid_vehicle_charging_reserve", 35) == updated
        assert call("grid_import_export", None, "never") == updated
        assert call("grid_import_export", True) == updated
        assert call("time_of_use_settings", CONTENT) == updated
        info = call("site_info")["response"]
        assert info["backup_reserve_percent"] == 21
        assert info["default_real_mode"] == "backup"
        assert info["user_settings"]["storm_mode_enabled"] is False
        assert info["off_grid_vehicle_charging_reserve_percent"] == 35
        assert info["components"]["customer_preferred_export_rule"] == "never"
        assert info["components"]["disallow_charge_from_grid_with_solar_installed"] is True
        assert info["tariff_content"] == CONTENT

        def used() -> float:
            day = call("energy_history", "day", None, None, "Europe/Berlin")["response"]
            return float(sum(one["total_home_usage"] for one in day["time_series"]))

        until(lambda: used() > 0)
        outages = call("backup_history", "month", None, None, "Europe/Berlin")["response"]
        assert (outages["events"], outages["total_events"]) == ([], 0)
        sessions = call(
            "charge_history", "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "Europe/Berlin"
        )
        assert isinstance(sessions["response"]["charge_history"], list)
