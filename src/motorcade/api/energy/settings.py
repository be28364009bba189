"""What may be set on a site over HTTP, a table: the body's members, and how the site shows it.

A setting goes as a signed command by the router, its journal and its answers, like a car's.
"Updated" is said when the site has stored it, and at best when live state shows it, too, so that
who reads next reads what was set.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from motorcade.api.commands import carry_out
from motorcade.api.counter import Counter
from motorcade.api.energy.access import OFFLINE
from motorcade.api.energy.reading import Reading
from motorcade.api.energy.shapes import Updated
from motorcade.api.errors import ApiError
from motorcade.commands.port import CommandView, Request
from motorcade.commands.states import State
from motorcade.events import fnv1a_64
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Site
from motorcade.wire.tariff import TariffError, read_tariff

MODES: Final = ("self_consumption", "autonomous", "backup")
EXPORT_RULES: Final = ("battery_ok", "pv_only", "never")
NO_GRID_CHARGING: Final = "disallow_charge_from_grid_with_solar_installed"
EXPORT_RULE: Final = "customer_preferred_export_rule"
CAR_RESERVE: Final = "off_grid_vehicle_charging_reserve_percent"
TARIFF: Final = "tariff_content_v2"
TARIFF_BYTES_MAX: Final = 32 << 10  # a signed command holds 64 KiB
CONFIRM_POLL_S: Final = 0.02

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One route; the command is called like it."""

    name: str
    read: Callable[[Members], dict[str, Any]]  # the body to the command's parameters; raises 400
    shows: Callable[[Reading, Members], bool]  # whether the site says that it obeys them


async def change(
    counter: Counter, access: AccessToken, site: Site, row: SettingRow, body: Members
) -> tuple[Updated, str]:
    """Set it and wait until it is so; the command's id besides. Raises `ApiError`."""
    parameters = row.read(body)
    asked = Request(site.token, row.name, parameters, access.subject)
    view = await carry_out(counter, access, asked)
    _require_executed(view)
    left_s = counter.config.energy.confirm_s_max
    while left_s > 0 and not row.shows(Reading(counter.state.read(site.token)), parameters):
        await asyncio.sleep(CONFIRM_POLL_S)
        left_s -= CONFIRM_POLL_S
    return Updated(), view.id


def _require_executed(view: CommandView) -> None:
    if view.state is State.EXECUTED:
        return
    if view.state is State.REFUSED:
        text = f"the site refused: {view.reason}"
        raise ApiError(400, "invalid_field", text, command_id=view.id)
    where = f"setting {view.id} is {view.state}; the site takes it if it connects before it expires"
    raise ApiError(408, OFFLINE, where, command_id=view.id)


def _wrong(name: str, text: str) -> ApiError:
    return ApiError(400, "invalid_field", f"{name}: {text}")


def _percent(body: Members, name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "must be a whole number 0 to 100")
    if not 0 <= value <= 100 or value != int(value):
        raise _wrong(name, "must be a whole number 0 to 100")
    return int(value)


def _boolean(body: Members, name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value


def _word(body: Members, name: str, words: tuple[str, ...]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in words:
        raise _wrong(name, f"must be one of {', '.join(words)}")
    return value


def _read_import_export(body: Members) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if body.get(NO_GRID_CHARGING) is not None:
        wanted[NO_GRID_CHARGING] = _boolean(body, NO_GRID_CHARGING)
    if body.get(EXPORT_RULE) is not None:
        wanted[EXPORT_RULE] = _word(body, EXPORT_RULE, EXPORT_RULES)
    if not wanted:
        raise _wrong(NO_GRID_CHARGING, f"give it, or {EXPORT_RULE}, or both")
    return wanted


def _shows_import_export(reading: Reading, wanted: Members) -> bool:
    charging = wanted.get(NO_GRID_CHARGING)
    rule = wanted.get(EXPORT_RULE)
    return (charging is None or reading.true("grid_charging_disallowed") is charging) and (
        rule is None or reading.text("export_rule") == rule
    )


def _read_tariff(body: Members) -> dict[str, Any]:
    settings = body.get("tou_settings")
    content = settings.get(TARIFF) if isinstance(settings, dict) else None
    if not isinstance(content, dict):
        raise _wrong(f"tou_settings.{TARIFF}", "must be an object")
    if len(msgspec.json.encode(content)) > TARIFF_BYTES_MAX:
        raise _wrong(TARIFF, f"must be at most {TARIFF_BYTES_MAX} bytes of JSON")
    try:
        read_tariff(content)
    except TariffError as error:
        raise _wrong(TARIFF, str(error)) from error
    return {TARIFF: content}


def tariff_digest(content: Any) -> str:
    """How a site names its tariff: FNV-1a of its JSON, members sorted."""
    return f"{fnv1a_64(msgspec.json.encode(content, order='sorted')):016x}"


async def tariff_of(counter: Counter, site: Site, reading: Reading) -> dict[str, Any]:
    """The tariff that the site obeys, {} for none. Live state names it; the ledger, which may be a
    moment behind, has its text."""
    if counter.meters is None:
        return {}
    left_s = counter.config.energy.confirm_s_max
    while True:
        text = await asyncio.to_thread(counter.meters.tariff, site.token)
        named = f"{fnv1a_64(text.encode()):016x}" == reading.text("tariff_digest")
        if named or left_s <= 0:
            content = msgspec.json.decode(text)
            return content if isinstance(content, dict) else {}
        await asyncio.sleep(CONFIRM_POLL_S)
        left_s -= CONFIRM_POLL_S


BACKUP: Final = SettingRow(
    "backup",
    lambda body: {"backup_reserve_percent": _percent(body, "backup_reserve_percent")},
    lambda reading, wanted: reading.number("backup_reserve") == wanted["backup_reserve_percent"],
)
OPERATION: Final = SettingRow(
    "operation",
    lambda body: {"default_real_mode": _word(body, "default_real_mode", MODES)},
    lambda reading, wanted: reading.text("operation_mode") == wanted["default_real_mode"],
)
STORM_MODE: Final = SettingRow(
    "storm_mode",
    lambda body: {"enabled": _boolean(body, "enabled")},
    lambda reading, wanted: reading.true("storm_mode_enabled") is wanted["enabled"],
)
OFF_GRID_RESERVE: Final = SettingRow(
    "off_grid_vehicle_charging_reserve",
    lambda body: {CAR_RESERVE: _percent(body, CAR_RESERVE)},
    lambda reading, wanted: reading.number("off_grid_charging_reserve") == wanted[CAR_RESERVE],
)
IMPORT_EXPORT: Final = SettingRow("grid_import_export", _read_import_export, _shows_import_export)
TIME_OF_USE: Final = SettingRow(
    "time_of_use_settings",
    _read_tariff,
    lambda reading, wanted: reading.text("tariff_digest") == tariff_digest(wanted[TARIFF]),
)
