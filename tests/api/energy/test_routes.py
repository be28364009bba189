"""The energy routes on the real platform, with a site that runs: contract, settings, restarts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.energy.house import ENERGY, Caller, token
from tests.platform_process import Platform, add_vehicles, platform
from tests.vehicle.site.running import add_site, change_house, site_running, until
from tests.wire.test_tariff import CONTENT

VIN = "5YJ3E1EA7KF000001"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("energy") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def caller(up: Platform) -> Iterator[Caller]:
    """A site that runs."""
    added = add_site(up.data, up.data.parent / "site", "--batteries", "2", "--solar-kw", "9.5")
    caller = Caller(up, added["energy_site_id"], token(up.data, ENERGY))
    with site_running(Path(added["file"]), up.data, "--rate", "5"):
        caller.until_live()
        yield caller


def test_live_status_balances_and_says_what_clients_read(caller: Caller) -> None:
    for _ in range(5):
        now = caller.get("live_status")
        assert now["battery_power"] + now["solar_power"] + now["grid_power"] == now["load_power"]
    assert now["total_pack_energy"] == 27_000
    assert now["percentage_charged"] == pytest.approx(100 * now["energy_left"] / 27_000, abs=0.01)
    assert (now["grid_status"], now["island_status"]) == ("Active", "on_grid")
    assert now["timestamp"].endswith(("+01:00", "+02:00"))  # Berlin
    (wall,) = now["wall_connectors"]
    assert wall["wall_connector_state"] in (1, 2, 4)


def test_site_info_and_status_describe_the_site(caller: Caller) -> None:
    info = caller.get("site_info")
    assert info["site_name"] == "Home"
    assert (info["battery_count"], info["nameplate_power"], info["nameplate_energy"]) == (
        2,
        10_000,
        27_000,
    )
    assert info["installation_time_zone"] == "Europe/Berlin"
    assert info["tariff_content"] == {}
    parts = info["components"]
    assert (parts["solar"], parts["solar_type"]) == (True, "pv_panel")
    assert [battery["nameplate_energy"] for battery in parts["batteries"]] == [13_500, 13_500]
    status = caller.get("site_status")
    assert (status["total_pack_energy"], status["gateway_id"]) == (27_000, info["id"])
    assert caller.get("backup_time_remaining")["time_remaining_hours"] > 0


def test_products_mix_vehicles_and_sites_each_with_its_scope(
    up: Platform, caller: Caller, tmp_path: Path
) -> None:
    add_vehicles(up.data, [VIN], tmp_path)

    def listed(scopes: str) -> list[dict[str, Any]]:
        answer = Caller(up, 0, token(up.data, scopes)).ask("GET", "/api/1/products")
        assert answer.status_code == 200
        products: list[dict[str, Any]] = answer.json()["response"]
        assert answer.json()["count"] == len(products)
        return products

    car, site = listed("vehicle_device_data energy_device_data")
    assert car["vin"] == VIN
    assert "energy_site_id" not in car
    assert site["energy_site_id"] == caller.site_id
    assert (site["resource_type"], site["components"]["battery"]) == ("battery", True)
    assert 0 < site["percentage_charged"] <= 100
    assert listed("vehicle_device_data") == [car]
    assert [one["energy_site_id"] for one in listed("energy_device_data")] == [caller.site_id]


def test_every_setting_is_confirmed_by_the_site(caller: Caller) -> None:
    caller.set("backup", {"backup_reserve_percent": 42})
    assert caller.get("site_info")["backup_reserve_percent"] == 42
    caller.set("operation", {"default_real_mode": "backup"})
    assert caller.get("site_info")["default_real_mode"] == "backup"
    caller.set("storm_mode", {"enabled": False})
    assert caller.get("site_info")["user_settings"]["storm_mode_enabled"] is False
    caller.set("off_grid_vehicle_charging_reserve", {CAR_RESERVE: 77})
    assert caller.get("site_info")[CAR_RESERVE] == 77
    caller.set(
        "grid_import_export",
        {NO_GRID_CHARGING: True, EXPORT_RULE: None},  # what tesla-fleet-api sends
    )
    caller.set("grid_import_export", {EXPORT_RULE: "never"})
    parts = caller.get("site_info")["components"]
    assert (parts[NO_GRID_CHARGING], parts[EXPORT_RULE]) == (True, "never")
    assert parts["non_export_configured"] is True
    until(lambda: caller.get("live_status")["grid_power"] >= 0)


CAR_RESERVE = "off_grid_vehicle_charging_reserve_percent"
NO_GRID_CHARGING = "disallow_charge_from_grid_with_solar_installed"
EXPORT_RULE = "customer_preferred_export_rule"


@pytest.mark.parametrize(
    ("route", "body", "word"),
    [
        ("backup", {}, "backup_reserve_percent"),
        ("backup", {"backup_reserve_percent": 101}, "0 to 100"),
        ("backup", {"backup_reserve_percent": True}, "0 to 100"),
        ("backup", {"backup_reserve_percent": "5"}, "0 to 100"),
        ("operation", {"default_real_mode": "island"}, "self_consumption"),
        ("operation", {"default_real_mode": []}, "self_consumption"),
        ("storm_mode", {"enabled": 1}, "true or false"),
        ("off_grid_vehicle_charging_reserve", {CAR_RESERVE: 0.5}, "0 to 100"),
        ("grid_import_export", {}, EXPORT_RULE),
        ("grid_import_export", {EXPORT_RULE: "always"}, "battery_ok"),
        ("time_of_use_settings", {"tou_settings": {}}, "tariff_content_v2"),
        ("time_of_use_settings", {"tou_settings": {"tariff_content_v2": {}}}, "seasons"),
        (
            "time_of_use_settings",
            {"tou_settings": {"tariff_content_v2": CONTENT | {"name": "x" * 40_000}}},
            "32768 bytes",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_its_member(
    caller: Caller, route: str, body: Any, word: str
) -> None:
    answer = caller.post(route, body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_field"
    assert word in answer.json()["error_description"]


@pytest.mark.parametrize("site_id", ["0", "1", "-1", "x", "9" * 30, "1000000099999", "%00", "١"])
def test_unknown_sites_are_not_found(caller: Caller, site_id: str) -> None:
    for method, what in (("GET", "live_status"), ("POST", "backup")):
        answer = caller.ask(method, f"/api/1/energy_sites/{site_id}/{what}")
        assert answer.status_code == 404, what


def test_each_route_wants_its_scope(up: Platform, caller: Caller) -> None:
    reads = Caller(up, caller.site_id, token(up.data, "energy_device_data"))
    assert reads.get("site_info")["site_name"] == "Home"
    refused = reads.post("backup", {"backup_reserve_percent": 1})
    assert refused.status_code == 403
    assert refused.json()["error"] == "Unauthorized missing scopes energy_cmds"
    cars = Caller(up, caller.site_id, token(up.data, "vehicle_device_data vehicle_cmds"))
    for method, what in (("GET", "live_status"), ("POST", "backup")):
        path = f"/api/1/energy_sites/{caller.site_id}/{what}"
        assert cars.ask(method, path).status_code == 403


def test_settings_and_meters_survive_a_kill_and_an_island_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    running = Platform(data)
    running.start()
    try:
        added = add_site(data, tmp_path / "site", "--solar-kw", "0", "--no-wall-connector")
        file = Path(added["file"])
        caller = Caller(running, added["energy_site_id"], token(data, ENERGY))
        silent = caller.ask("GET", f"/api/1/energy_sites/{caller.site_id}/live_status")
        assert silent.status_code == 408
        with site_running(file, data) as site:
            caller.until_live()
            caller.set("backup", {"backup_reserve_percent": 61})
            site.kill()
            site.wait()
        offline = caller.post("operation", {"default_real_mode": "autonomous"})
        assert offline.status_code == 408
        assert "site is offline" in offline.json()["error"]
        running.kill_all()
        change_house(file, grid_outages=[(0, 4_000_000_000)])
        running.start()
        with site_running(file, data):
            until(lambda: caller.until_live()["island_status"] == "off_grid_unintentional")
            now = caller.get("live_status")
            assert (now["grid_status"], now["grid_power"]) == ("Inactive", 0)
            assert now["battery_power"] == now["load_power"] > 0
            assert caller.get("site_info")["backup_reserve_percent"] == 61
    finally:
        running.stop()
