"""What an owner may set on a site, a table: command, parameters, when it is refused, what it does.

Names are Tesla's: a command is called like its route. The API has a table of its own; the site
checks again, because it obeys a signature, not a server's good behaviour. No IO.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from motorcade.vehicle.site.model import Export, Mode
from motorcade.wire.tariff import Tariff, TariffError, read_tariff

Parameters = Mapping[str, Any]

ACCEPTED: Final = ""
INVALID: Final = "invalid_parameters"
UNKNOWN: Final = "unknown_command"

MODES: Final = {
    "self_consumption": Mode.SELF_CONSUMPTION,
    "autonomous": Mode.AUTONOMOUS,
    "backup": Mode.BACKUP,
}
EXPORTS: Final = {
    "battery_ok": Export.BATTERY_OK,
    "pv_only": Export.PV_ONLY,
    "never": Export.NEVER,
}
NO_GRID_CHARGING: Final = "disallow_charge_from_grid_with_solar_installed"
EXPORT_RULE: Final = "customer_preferred_export_rule"
CAR_RESERVE: Final = "off_grid_vehicle_charging_reserve_percent"
TARIFF: Final = "tariff_content_v2"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As a site keeps them; the names are the parameters'."""

    backup_reserve_percent: int = 20
    default_real_mode: str = "self_consumption"
    storm_mode_enabled: bool = True
    off_grid_vehicle_charging_reserve_percent: int = 50
    disallow_charge_from_grid_with_solar_installed: bool = False
    customer_preferred_export_rule: str = "pv_only"
    tariff_content_v2: dict[str, Any] | None = None

    def tariff(self) -> Tariff | None:
        """The tariff, read. Raises `TariffError`."""
        return None if self.tariff_content_v2 is None else read_tariff(self.tariff_content_v2)


@dataclass(frozen=True, slots=True)
class Setting:
    """One command: what of the settings it changes. `read` raises `ValueError` when it is wrong."""

    read: Callable[[Parameters], dict[str, Any]]


def refusal(name: str, parameters: Parameters) -> str:
    """Why the site does not carry this out; empty if it does."""
    setting = SETTINGS.get(name)
    if setting is None:
        return UNKNOWN
    try:
        setting.read(parameters)
    except ValueError:
        return INVALID
    return ACCEPTED


def changed(settings: Settings, name: str, parameters: Parameters) -> Settings:
    """The settings after the command. `refusal` was empty."""
    return msgspec.structs.replace(settings, **SETTINGS[name].read(parameters))


def _percent(parameters: Parameters, name: str) -> int:
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError(name)
    return value


def _boolean(parameters: Parameters, name: str) -> bool:
    value = parameters.get(name)
    if not isinstance(value, bool):
        raise ValueError(name)
    return value


def _word(parameters: Parameters, name: str, words: Mapping[str, object]) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or value not in words:
        raise ValueError(name)
    return value


def _import_export(parameters: Parameters) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if parameters.get(NO_GRID_CHARGING) is not None:
        wanted[NO_GRID_CHARGING] = _boolean(parameters, NO_GRID_CHARGING)
    if parameters.get(EXPORT_RULE) is not None:
        wanted[EXPORT_RULE] = _word(parameters, EXPORT_RULE, EXPORTS)
    if not wanted:
        raise ValueError("neither is there")
    return wanted


def _time_of_use(parameters: Parameters) -> dict[str, Any]:
    content = parameters.get(TARIFF)
    if not isinstance(content, dict):
        raise TariffError(f"{TARIFF}: must be an object")
    read_tariff(content)
    return {TARIFF: content}


SETTINGS: Final[dict[str, Setting]] = {
    "backup": Setting(lambda p: {"backup_reserve_percent": _percent(p, "backup_reserve_percent")}),
    "operation": Setting(lambda p: {"default_real_mode": _word(p, "default_real_mode", MODES)}),
    "storm_mode": Setting(lambda p: {"storm_mode_enabled": _boolean(p, "enabled")}),
    "off_grid_vehicle_charging_reserve": Setting(lambda p: {CAR_RESERVE: _percent(p, CAR_RESERVE)}),
    "grid_import_export": Setting(_import_export),
    "time_of_use_settings": Setting(_time_of_use),
}
