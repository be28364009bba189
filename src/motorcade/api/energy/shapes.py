"""The bodies of energy answers as types, by Tesla's names. Watts, watt hours, RFC 3339."""

from typing import Any

from msgspec import Struct


class WallConnectorNow(Struct, kw_only=True):
    din: str
    wall_connector_state: int  # 1 charging, 2 nothing plugged in, 4 plugged in
    wall_connector_fault_state: int = 2  # none
    wall_connector_power: float


class LiveStatus(Struct, kw_only=True):
    """battery > 0 discharges, grid > 0 imports; battery + solar + grid = load."""

    solar_power: float
    energy_left: float
    total_pack_energy: float
    percentage_charged: float
    backup_capable: bool = True
    battery_power: float
    load_power: float
    grid_status: str  # Active, Inactive
    grid_services_active: bool = False
    grid_power: float
    grid_services_power: float = 0.0
    generator_power: float = 0.0
    island_status: str  # on_grid, off_grid_unintentional
    storm_mode_active: bool
    timestamp: str  # of the site's sample
    wall_connectors: list[WallConnectorNow]


class UserSettings(Struct, kw_only=True):
    go_off_grid_test_banner_enabled: bool | None = None
    storm_mode_enabled: bool
    powerwall_onboarding_settings_set: bool = True
    sync_grid_alert_enabled: bool = False
    breaker_alert_enabled: bool = False


class Gateway(Struct, kw_only=True):
    device_id: str
    din: str
    serial_number: str
    part_number: str
    part_name: str
    is_active: bool
    firmware_version: str


class Battery(Struct, kw_only=True):
    device_id: str
    din: str
    serial_number: str
    part_number: str
    part_name: str
    nameplate_max_charge_power: float
    nameplate_max_discharge_power: float
    nameplate_energy: float


class WallConnector(Struct, kw_only=True):
    device_id: str
    din: str
    is_active: bool = True


class Components(Struct, kw_only=True):
    solar: bool
    solar_type: str | None
    battery: bool = True
    grid: bool = True
    backup: bool = True
    gateway: str = "teg"
    load_meter: bool = True
    tou_capable: bool = True
    storm_mode_capable: bool = True
    off_grid_vehicle_charging_reserve_supported: bool
    set_islanding_mode_enabled: bool = False
    battery_type: str = "ac_powerwall"
    configurable: bool = True
    grid_services_enabled: bool = False
    disallow_charge_from_grid_with_solar_installed: bool
    customer_preferred_export_rule: str
    non_export_configured: bool
    edit_setting_permission_to_export: bool = True
    edit_setting_grid_charging: bool = True
    edit_setting_energy_exports: bool = True
    gateways: list[Gateway]
    batteries: list[Battery]
    wall_connectors: list[WallConnector]


class SiteInfo(Struct, kw_only=True):
    id: str  # the gateway's
    site_name: str
    backup_reserve_percent: int
    default_real_mode: str
    installation_date: str
    installation_time_zone: str
    user_settings: UserSettings
    components: Components
    version: str
    battery_count: int
    nameplate_power: float
    nameplate_energy: float
    max_site_meter_power_ac: float = 1e9
    min_site_meter_power_ac: float = -1e9
    off_grid_vehicle_charging_reserve_percent: int
    tariff_content: dict[str, Any]  # {} while none is set
    tariff_content_v2: dict[str, Any]


class SiteStatus(Struct, kw_only=True):
    resource_type: str = "battery"
    site_name: str
    gateway_id: str
    energy_left: float
    total_pack_energy: float
    percentage_charged: float
    battery_type: str = "ac_powerwall"
    backup_capable: bool = True
    battery_power: float
    storm_mode_enabled: bool
    powerwall_onboarding_settings_set: bool = True
    sync_grid_alert_enabled: bool = False
    breaker_alert_enabled: bool = False


class BackupTime(Struct):
    time_remaining_hours: float


class ProductComponents(Struct, kw_only=True):
    battery: bool = True
    battery_type: str = "ac_powerwall"
    solar: bool
    solar_type: str | None
    grid: bool = True
    load_meter: bool = True
    market_type: str = "residential"
    wall_connectors: list[WallConnector]


class SiteProduct(Struct, kw_only=True):
    """An energy site among the products; before its first sample nothing of its charge is known."""

    energy_site_id: int
    device_type: str = "energy"
    resource_type: str = "battery"
    site_name: str
    id: str
    gateway_id: str
    asset_site_id: str
    energy_left: float | None
    total_pack_energy: float | None
    percentage_charged: float | None
    battery_type: str = "ac_powerwall"
    backup_capable: bool = True
    battery_power: float | None
    go_off_grid_test_banner_enabled: bool | None = None
    storm_mode_enabled: bool | None
    powerwall_onboarding_settings_set: bool = True
    sync_grid_alert_enabled: bool = False
    breaker_alert_enabled: bool = False
    components: ProductComponents
    features: dict[str, bool] = {}


class Products(Struct, kw_only=True):
    """Vehicles have a `vin`, sites an `energy_site_id`."""

    response: list[
        Any
    ]  # of `VehicleEntry` and `SiteProduct`; msgspec has no union of two bare ones
    count: int


class Updated(Struct):
    """Tesla's word that a setting is taken; here: that the site has stored it and obeys."""

    code: int = 201
    message: str = "Updated"
