"""A house as a machine: settings that last, meters that go on, whatever was killed when."""

from typing import Any

import pytest

from motorcade.clock import SimulatedClock
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.site.home import CATCH_UP_S_MAX, SAVE_S, Home, Homes
from motorcade.vehicle.site.model import Flow, Mode
from motorcade.vehicle.site.samples import METERS, SiteSignals, tariff_digest
from motorcade.vehicle.site.settings import refusal
from tests.vehicle.site.test_model import NOON_S, site
from tests.wire.test_tariff import CONTENT

ZONE = "America/Los_Angeles"


def home_on(disk: MemoryDisk, clock: SimulatedClock) -> Home:
    return Homes([(site(), ZONE, disk)], clock).homes[0]


def live(home: Home, clock: SimulatedClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1)
        home.advance(0)


def test_a_killed_house_goes_on_as_if_it_had_not_been() -> None:
    clock, disk = SimulatedClock(NOON_S * 1_000_000), MemoryDisk()
    home = home_on(disk, clock)
    live(home, clock, SAVE_S - 1)
    again = home_on(disk, clock)  # a new house remembers its first instant
    again.advance(0)
    assert again.row == home.row
    home.apply("backup", {"backup_reserve_percent": 80})
    live(home, clock, SAVE_S * 3 + 7)
    again = home_on(disk, clock)  # what was not saved is lived again
    assert again.row["time_s"] < home.row["time_s"]
    again.advance(0)
    assert again.row == home.row
    assert again.settings.backup_reserve_percent == 80
    live(home, clock, 50)
    live(again, clock, 50)
    home.advance(0)
    assert again.row == home.row


def test_a_house_lives_on_while_its_program_is_off_for_a_bounded_time() -> None:
    clock, disk = SimulatedClock(NOON_S * 1_000_000), MemoryDisk()
    home = home_on(disk, clock)
    home.save()
    clock.advance(86_400)
    again = home_on(disk, clock)
    again.advance(0)
    assert again.row["time_s"] == NOON_S + 86_400
    used = sum(int(again.row["meter_j"][flow]) for flow in Flow if flow.name.endswith("HOUSE"))
    assert used > 86_400 * 200
    again.save()
    clock.advance(3 * CATCH_UP_S_MAX)
    assert home_on(disk, clock).row["time_s"] >= NOON_S + 2 * CATCH_UP_S_MAX


def test_a_clock_set_back_costs_no_energy() -> None:
    clock, disk = SimulatedClock(NOON_S * 1_000_000), MemoryDisk()
    home = home_on(disk, clock)
    live(home, clock, 100)
    meters = home.row["meter_j"].tolist()
    clock.set_wall((NOON_S - 50_000) * 1_000_000)
    home.advance(0)
    assert home.row["time_s"] == NOON_S - 50_000
    assert home.row["meter_j"].tolist() == meters


def test_a_setting_that_cannot_be_stored_does_not_count() -> None:
    clock = SimulatedClock(NOON_S * 1_000_000)

    class FullDisk(MemoryDisk):
        full = False

        def replace(self, name: str, data: bytes) -> None:
            if self.full:
                raise OSError(28, "No space left on device", name)

    disk = FullDisk()
    home = home_on(disk, clock)
    disk.full = True
    with pytest.raises(OSError, match="space"):
        home.apply("operation", {"default_real_mode": "backup"})
    assert home.settings.default_real_mode == "self_consumption"
    assert home.row["mode"] == Mode.SELF_CONSUMPTION


def test_damaged_memory_is_told_and_begins_anew() -> None:
    clock, disk = SimulatedClock(NOON_S * 1_000_000), MemoryDisk()
    home_on(disk, clock).apply("backup", {"backup_reserve_percent": 80})
    disk.files["site"][20] ^= 1
    again = home_on(disk, clock)
    assert "damaged" in again.damage
    assert again.settings.backup_reserve_percent == 20


def test_the_tariff_makes_the_price_by_the_house_s_own_clock() -> None:
    clock = SimulatedClock((NOON_S + 10 * 86_400) * 1_000_000)  # 1 July, 5 a.m. over there
    home = home_on(MemoryDisk(), clock)
    home.apply("time_of_use_settings", {"tariff_content_v2": CONTENT})
    home.apply("operation", {"default_real_mode": "autonomous"})
    assert home.row["price"] == 0
    assert home.row["offset_s"] == -7 * 3_600
    clock.advance(11 * 3_600 + 60)
    home.advance(0)
    assert home.row["price"] == 2


def test_the_tariff_is_told_when_new_and_hourly() -> None:
    clock = SimulatedClock(NOON_S * 1_000_000)
    home = home_on(MemoryDisk(), clock)
    signals = SiteSignals()
    assert signals(home)["time_of_use_tariff"] == "null"
    assert "time_of_use_tariff" not in signals(home)
    home.apply("time_of_use_settings", {"tariff_content_v2": CONTENT})
    told = signals(home)
    assert told["tariff_digest"] == tariff_digest(str(told["time_of_use_tariff"]))
    live(home, clock, 10)
    assert "time_of_use_tariff" not in signals(home)
    clock.advance(3_600)
    home.advance(0)
    assert "time_of_use_tariff" in signals(home)


def test_signals_balance_as_the_house_does() -> None:
    clock = SimulatedClock(NOON_S * 1_000_000)
    home = home_on(MemoryDisk(), clock)
    live(home, clock, 300)
    said = SiteSignals()(home)
    powers = [float(said[f"{name}_power"]) for name in ("battery", "solar", "grid")]
    assert sum(powers) == said["house_power"]
    assert [said[name] for name in METERS.values()] == home.row["meter_j"].tolist()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("honk_horn", {}),
        ("backup", {}),
        ("backup", {"backup_reserve_percent": 101}),
        ("backup", {"backup_reserve_percent": True}),
        ("backup", {"backup_reserve_percent": 5.5}),
        ("operation", {"default_real_mode": "island"}),
        ("operation", {"default_real_mode": ["backup"]}),
        ("storm_mode", {"enabled": 1}),
        ("off_grid_vehicle_charging_reserve", {"off_grid_vehicle_charging_reserve_percent": -1}),
        ("grid_import_export", {}),
        ("grid_import_export", {"customer_preferred_export_rule": "always"}),
        ("time_of_use_settings", {"tariff_content_v2": {}}),
    ],
)
def test_a_site_checks_what_it_is_told(name: str, parameters: dict[str, Any]) -> None:
    assert refusal(name, parameters)
