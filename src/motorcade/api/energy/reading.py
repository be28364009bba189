"""A site's live state in Tesla's units and words. No IO, no clock."""

from collections.abc import Mapping
from typing import Any, Final

from motorcade.api.energy.shapes import (
    Battery,
    Components,
    Gateway,
    LiveStatus,
    ProductComponents,
    SiteInfo,
    SiteProduct,
    SiteStatus,
    UserSettings,
    WallConnector,
    WallConnectorNow,
)
from motorcade.registry.port import Site
from motorcade.state.port import SignalValue, VehicleState
from motorcade.zones import shown

JOULES_PER_WH: Final = 3_600.0
NAMESPACE: Final = "00000000-0000-4000-8000-"  # device ids are made of the site's, not drawn
VERSION: Final = "25.10.0"  # what a firmware's version looks like
_GATEWAY, _BATTERY, _WALL = "1232100-00-E", "3012170-05-B", "1734412-02-D"
CHARGING, UNPLUGGED, PLUGGED = 1, 2, 4


class Reading:
    """The signals of a site that has said something."""

    def __init__(self, state: VehicleState) -> None:
        self._signals: Mapping[str, SignalValue] = state.signals

    @property
    def there(self) -> bool:
        """Whether the site has ever said how its batteries are."""
        return "battery_capacity" in self._signals and "house_power" in self._signals

    @property
    def time_us(self) -> int:
        """When the site last said something of its powers or meters."""
        return max(value.time_us for value in self._signals.values())

    def number(self, name: str) -> float:
        """A signal in its stored unit; 0 where the site has not said it."""
        value = self._signals.get(name)
        return float(value.value) if value and isinstance(value.value, int | float) else 0.0

    def true(self, name: str) -> bool:
        value = self._signals.get(name)
        return bool(value and value.value)

    def text(self, name: str) -> str:
        value = self._signals.get(name)
        return value.value if value and isinstance(value.value, str) else ""

    def wh(self, name: str) -> float:
        return round(self.number(name) / JOULES_PER_WH, 3)


def gateway_din(site: Site) -> str:
    """Tesla's part and serial number of the site's gateway."""
    return f"{_GATEWAY}--TG{site.id}"


def live_status(site: Site, reading: Reading) -> LiveStatus:
    up = reading.true("grid_connected")
    wall_w = reading.number("wall_connector_power")
    state = PLUGGED if reading.true("wall_connector_plugged") else UNPLUGGED
    walls = [
        WallConnectorNow(
            din=wall.din,
            wall_connector_state=CHARGING if wall_w else state,
            wall_connector_power=wall_w,
        )
        for wall in _walls(site)
    ]
    return LiveStatus(
        solar_power=reading.number("solar_power"),
        energy_left=reading.wh("energy_remaining"),
        total_pack_energy=reading.wh("battery_capacity"),
        percentage_charged=reading.number("soc"),
        battery_power=reading.number("battery_power"),
        load_power=reading.number("house_power"),
        grid_status="Active" if up else "Inactive",
        grid_power=reading.number("grid_power"),
        island_status="on_grid" if up else "off_grid_unintentional",
        storm_mode_active=reading.true("storm_active"),
        timestamp=shown(reading.time_us, site.description.time_zone),
        wall_connectors=walls,
    )


def site_info(site: Site, reading: Reading, tariff: dict[str, Any]) -> SiteInfo:
    described = site.description
    rule = reading.text("export_rule")
    count = described.battery_count
    power_w, energy_wh = reading.number("battery_power_max"), reading.wh("battery_capacity")
    return SiteInfo(
        id=gateway_din(site),
        site_name=described.name,
        backup_reserve_percent=int(reading.number("backup_reserve")),
        default_real_mode=reading.text("operation_mode"),
        installation_date=shown(site.added_time_us, described.time_zone),
        installation_time_zone=described.time_zone,
        user_settings=UserSettings(storm_mode_enabled=reading.true("storm_mode_enabled")),
        components=Components(
            solar=described.solar_w_peak > 0,
            solar_type=_solar_type(site),
            off_grid_vehicle_charging_reserve_supported=described.wall_connector,
            disallow_charge_from_grid_with_solar_installed=reading.true("grid_charging_disallowed"),
            customer_preferred_export_rule=rule,
            non_export_configured=rule == "never",
            gateways=[_gateway(site)],
            batteries=[
                _battery(site, number, power_w / count, energy_wh / count)
                for number in range(count)
            ],
            wall_connectors=_walls(site),
        ),
        version=VERSION,
        battery_count=count,
        nameplate_power=power_w,
        nameplate_energy=energy_wh,
        off_grid_vehicle_charging_reserve_percent=int(reading.number("off_grid_charging_reserve")),
        tariff_content=tariff,
        tariff_content_v2=tariff,
    )


def site_status(site: Site, reading: Reading) -> SiteStatus:
    return SiteStatus(
        site_name=site.description.name,
        gateway_id=gateway_din(site),
        energy_left=reading.wh("energy_remaining"),
        total_pack_energy=reading.wh("battery_capacity"),
        percentage_charged=reading.number("soc"),
        battery_power=reading.number("battery_power"),
        storm_mode_enabled=reading.true("storm_mode_enabled"),
    )


def product(site: Site, reading: Reading) -> SiteProduct:
    there = reading.there
    return SiteProduct(
        energy_site_id=site.id,
        site_name=site.description.name,
        id=f"STE{site.id}",
        gateway_id=gateway_din(site),
        asset_site_id=_device_id(site, 0),
        energy_left=reading.wh("energy_remaining") if there else None,
        total_pack_energy=reading.wh("battery_capacity") if there else None,
        percentage_charged=reading.number("soc") if there else None,
        battery_power=reading.number("battery_power") if there else None,
        storm_mode_enabled=reading.true("storm_mode_enabled") if there else None,
        components=ProductComponents(
            solar=site.description.solar_w_peak > 0,
            solar_type=_solar_type(site),
            wall_connectors=_walls(site),
        ),
    )


def backup_hours(reading: Reading) -> float:
    """How long the batteries would carry the load of now, were the grid to fail and the sun too."""
    load_w = max(reading.number("house_power"), 1.0)
    return reading.wh("energy_remaining") / load_w


def _solar_type(site: Site) -> str | None:
    return "pv_panel" if site.description.solar_w_peak else None


def _gateway(site: Site) -> Gateway:
    return Gateway(
        device_id=_device_id(site, 1),
        din=gateway_din(site),
        serial_number=f"TG{site.id}",
        part_number=_GATEWAY,
        part_name="TeslaBackupGateway2",
        is_active=True,
        firmware_version=VERSION,
    )


def _battery(site: Site, number: int, power_w: float, energy_wh: float) -> Battery:
    serial = f"TG{site.id}B{number + 1}"
    return Battery(
        device_id=_device_id(site, 10 + number),
        din=f"{_BATTERY}--{serial}",
        serial_number=serial,
        part_number=_BATTERY,
        part_name="Powerwall2",
        nameplate_max_charge_power=power_w,
        nameplate_max_discharge_power=power_w,
        nameplate_energy=energy_wh,
    )


def _walls(site: Site) -> list[WallConnector]:
    if not site.description.wall_connector:
        return []
    return [WallConnector(device_id=_device_id(site, 2), din=f"{_WALL}--PGT{site.id}")]


def _device_id(site: Site, number: int) -> str:
    return f"{NAMESPACE}{(site.id * 100 + number) % (1 << 48):012x}"
