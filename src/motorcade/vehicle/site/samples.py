"""What a site says about itself, by catalogue name, in stored units. Reads, changes nothing.

The tariff is long and seldom changes: it goes out when it is new and once an hour, in between its
digest alone.
"""

from typing import Final

import msgspec

from motorcade.events import fnv1a_64
from motorcade.vehicle.samples import Signals
from motorcade.vehicle.site.home import Home
from motorcade.vehicle.site.model import Flow
from motorcade.vehicle.site.settings import Settings

TARIFF_S: Final = 3_600

METERS: Final[dict[Flow, str]] = {flow: f"{flow.name.lower()}_energy" for flow in Flow}


class SiteSignals:
    """Remembers when the tariff was told."""

    def __init__(self) -> None:
        self._digest = ""
        self._told_s = 0

    def __call__(self, home: Home) -> Signals:
        """Everything, now."""
        row, settings = home.row, home.settings
        energy_j = int(row["energy_mj"]) // 1_000
        wall_w = int(row["wall_w"])
        signals: Signals = {
            "solar_power": int(row["solar_w"]),
            "house_power": int(row["house_w"]) + wall_w,
            "battery_power": int(row["battery_w"]),
            "grid_power": int(row["grid_w"]),
            "energy_remaining": energy_j,
            "soc": round(100 * energy_j / home.capacity_j, 3),
            "battery_capacity": home.capacity_j,
            "battery_power_max": home.battery_w_max,
            "grid_connected": bool(row["grid_up"]),
            "storm_active": bool(row["storm"]) and settings.storm_mode_enabled,
            "wall_connector_power": wall_w,
            "wall_connector_plugged": bool(row["car_there"]),
            "wall_charge_start": int(row["charge_start_s"]),
            "wall_charge_duration": int(row["charge_end_s"] - row["charge_start_s"]),
            "wall_charge_energy": int(row["charge_j"]),
            "outage_start": int(row["outage_start_s"]),
            "outage_duration": int(row["outage_end_s"] - row["outage_start_s"]),
            "operation_mode": settings.default_real_mode,
            "backup_reserve": settings.backup_reserve_percent,
            "storm_mode_enabled": settings.storm_mode_enabled,
            "off_grid_charging_reserve": settings.off_grid_vehicle_charging_reserve_percent,
            "grid_charging_disallowed": settings.disallow_charge_from_grid_with_solar_installed,
            "export_rule": settings.customer_preferred_export_rule,
        }
        for flow, name in METERS.items():
            signals[name] = int(row["meter_j"][flow])
        return signals | self._tariff(settings, int(row["time_s"]))

    def _tariff(self, settings: Settings, time_s: int) -> Signals:
        text = msgspec.json.encode(settings.tariff_content_v2, order="sorted").decode()
        digest = tariff_digest(text)
        if digest == self._digest and time_s - self._told_s < TARIFF_S:
            return {"tariff_digest": digest}
        self._digest, self._told_s = digest, time_s
        return {"tariff_digest": digest, "time_of_use_tariff": text}


def tariff_digest(text: str) -> str:
    """Names a tariff, written as JSON with sorted members."""
    return f"{fnv1a_64(text.encode()):016x}"
