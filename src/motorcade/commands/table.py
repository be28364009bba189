"""The commands, a table: parameters with types and ranges, and the scopes that allow each. No IO.

Names and parameters are Tesla's (`docs/protocols/commands.md` has the page). A row more makes a
command more: the API checks by this table, and the car has a table of its own for what it does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from motorcade.commands.errors import InvalidParameterError, UnknownCommandError


class Kind(Enum):
    """A parameter's type on the wire."""

    INTEGER = "an integer"
    NUMBER = "a number"
    WORD = "one of"


Scopes = tuple[str, ...]
COMMANDS_SCOPES: Final[Scopes] = ("vehicle_cmds",)
CHARGING_SCOPES: Final[Scopes] = ("vehicle_cmds", "vehicle_charging_cmds")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One member of a command's JSON body."""

    name: str
    kind: Kind
    required: bool = True
    low: float = -math.inf  # inclusive
    high: float = math.inf  # inclusive
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command."""

    name: str
    scopes: Scopes  # any one of them is enough
    parameters: tuple[Parameter, ...] = ()


_LATITUDE: Final = Parameter("lat", Kind.NUMBER, low=-90, high=90)  # WGS 84, degrees
_LONGITUDE: Final = Parameter("lon", Kind.NUMBER, low=-180, high=180)
_NEAR: Final = (  # where the caller is; a car may want it for closing windows
    Parameter("lat", Kind.NUMBER, required=False, low=-90, high=90),
    Parameter("lon", Kind.NUMBER, required=False, low=-180, high=180),
)

_ROWS: Final = (
    CommandRow("door_lock", COMMANDS_SCOPES),
    CommandRow("door_unlock", COMMANDS_SCOPES),
    CommandRow("honk_horn", COMMANDS_SCOPES),
    CommandRow("flash_lights", COMMANDS_SCOPES),
    CommandRow(
        "actuate_trunk",
        COMMANDS_SCOPES,
        (Parameter("which_trunk", Kind.WORD, words=("front", "rear")),),
    ),
    CommandRow(
        "window_control",
        COMMANDS_SCOPES,
        (Parameter("command", Kind.WORD, words=("vent", "close")), *_NEAR),
    ),
    CommandRow("charge_start", CHARGING_SCOPES),
    CommandRow("charge_stop", CHARGING_SCOPES),
    CommandRow(
        "set_charge_limit",
        CHARGING_SCOPES,
        (Parameter("percent", Kind.INTEGER, low=50, high=100),),
    ),
    CommandRow("auto_conditioning_start", COMMANDS_SCOPES),
    CommandRow("auto_conditioning_stop", COMMANDS_SCOPES),
    CommandRow(
        "set_temps",
        COMMANDS_SCOPES,
        (  # °C, as Tesla's API takes them whatever the car shows
            Parameter("driver_temp", Kind.NUMBER, low=15, high=30),
            Parameter("passenger_temp", Kind.NUMBER, low=15, high=30),
        ),
    ),
    CommandRow(
        "navigation_gps_request",
        COMMANDS_SCOPES,
        (
            _LATITUDE,
            _LONGITUDE,
            Parameter("order", Kind.INTEGER, required=False, low=0, high=100),
        ),
    ),
)

COMMANDS: Final[dict[str, CommandRow]] = {row.name: row for row in _ROWS}


def row_of(name: str) -> CommandRow:
    """The row of a command. Raises `UnknownCommandError`."""
    row = COMMANDS.get(name)
    if row is None:
        raise UnknownCommandError(f"no command {name[:64]!r}; the table is commands/table.py")
    return row


def read_parameters(row: CommandRow, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the car is told: the row's parameters alone, checked, in the row's order.

    Members the row does not know are left out, as Tesla's API does, so nothing unchecked is signed.

    Raises:
        InvalidParameterError: one is missing, of another type, or out of range.
    """
    parameters = {}
    for parameter in row.parameters:
        value = body.get(parameter.name)
        if value is not None:
            parameters[parameter.name] = _READERS[parameter.kind](parameter, value)
        elif parameter.required:
            raise InvalidParameterError(parameter.name, "missing")
    return parameters


def _read_word(parameter: Parameter, value: Any) -> str:
    for word in parameter.words:
        if value == word:
            return word
    raise InvalidParameterError(parameter.name, f"must be one of {', '.join(parameter.words)}")


def _read_number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParameterError(parameter.name, f"must be {parameter.kind.value}")
    if not parameter.low <= value <= parameter.high:  # NaN fails here too
        text = f"must be within {parameter.low:g} and {parameter.high:g}"
        raise InvalidParameterError(parameter.name, text)
    return value


def _read_integer(parameter: Parameter, value: Any) -> int:
    number = _read_number(parameter, value)
    if number != int(number):
        raise InvalidParameterError(parameter.name, f"must be {parameter.kind.value}")
    return int(number)


_READERS: Final = {
    Kind.WORD: _read_word,
    Kind.NUMBER: _read_number,
    Kind.INTEGER: _read_integer,
}
