"""A command's parameters: what types there are, their limits, and how a JSON member is read. No IO.

`Kind` is the table of types: a row more, and a reader below, make a type more. Every kind is
bounded, so a checked parameter always fits into the message that is signed to the car.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from motorcade.commands.errors import InvalidParameterError

TEXT_CHARACTERS_MAX: Final = 1_024  # unless the parameter says less
OBJECT_BYTES_MAX: Final = 16_384  # of an object or list, as JSON; a message has room for 64 KiB
LIST_ITEMS_MAX: Final = 64
PIN_DIGITS: Final = 4


class Kind(Enum):
    """A parameter's type on the wire, with the words for what it must be."""

    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    WORD = "one of"
    TEXT = "a text"
    PIN = f"a text of {PIN_DIGITS} digits"
    DAYS = 'days like "Monday,Friday", "Weekdays" or "All", or their bits (Sunday is 1)'
    TEXT_OR_OBJECT = "a text or an object"
    TEXT_OR_LIST = "a text or a list of texts"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One member of a command's JSON body."""

    name: str
    kind: Kind
    required: bool = True
    low: float = -math.inf  # inclusive
    high: float = math.inf  # inclusive
    words: tuple[str, ...] = ()
    characters_max: int = TEXT_CHARACTERS_MAX
    cut: bool = False  # a longer text is cut to `characters_max`, not refused
    alternative: str = ""  # another name that callers use; the car is told `name`
    secret: bool = False  # shown in no timeline


HIDDEN: Final = "****"

_DAYS: Final[dict[str, int]] = {
    **{"sun": 1, "mon": 2, "tues": 4, "wed": 8, "thurs": 16, "fri": 32, "sat": 64},
    **{"sunday": 1, "monday": 2, "tuesday": 4, "wednesday": 8, "thursday": 16, "friday": 32},
    **{"saturday": 64, "all": 127, "weekdays": 62, "weekends": 65},
}
ALL_DAYS: Final = 127


def read_parameters(parameters: tuple[Parameter, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the car is told: these parameters alone, checked, in their order.

    Members that no parameter names are left out, as Tesla's API does, so nothing unchecked is
    signed. `null` is the same as absent.

    Raises:
        InvalidParameterError: one is missing, of another type, too long or out of range.
    """
    read = {}
    for parameter in parameters:
        value = body.get(parameter.name)
        if value is None and parameter.alternative:
            value = body.get(parameter.alternative)
        if value is not None:
            read[parameter.name] = _READERS[parameter.kind](parameter, value)
        elif parameter.required:
            raise InvalidParameterError(parameter.name, "missing")
    return read


def hide_secrets(parameters: tuple[Parameter, ...], read: Mapping[str, Any]) -> dict[str, Any]:
    """`read` for people's eyes: without PINs."""
    secret = {parameter.name for parameter in parameters if parameter.secret}
    return {name: HIDDEN if name in secret else value for name, value in read.items()}


def _wrong(parameter: Parameter) -> InvalidParameterError:
    return InvalidParameterError(parameter.name, f"must be {parameter.kind.value}")


def _read_word(parameter: Parameter, value: Any) -> str:
    for word in parameter.words:
        if value == word:
            return word
    raise InvalidParameterError(parameter.name, f"must be one of {', '.join(parameter.words)}")


def _read_number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(parameter)
    if not parameter.low <= value <= parameter.high:  # NaN fails here too
        text = f"must be within {parameter.low:g} and {parameter.high:g}"
        raise InvalidParameterError(parameter.name, text)
    return value


def _read_integer(parameter: Parameter, value: Any) -> int:
    number = _read_number(parameter, value)
    if not math.isfinite(number) or number != int(number):
        raise _wrong(parameter)
    return int(number)


def _read_boolean(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(parameter)
    return value


def _read_text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(parameter)
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half a character cannot be signed
        raise InvalidParameterError(parameter.name, "is not valid Unicode") from error
    if len(value) > parameter.characters_max and not parameter.cut:
        text = f"must have at most {parameter.characters_max} characters"
        raise InvalidParameterError(parameter.name, text)
    return value[: parameter.characters_max]


def _read_pin(parameter: Parameter, value: Any) -> str:
    if not (
        isinstance(value, str) and len(value) == PIN_DIGITS and value.isascii() and value.isdigit()
    ):
        raise _wrong(parameter)
    return value


def _read_days(parameter: Parameter, value: Any) -> int:
    """The bits of the days: Sunday 1, Monday 2, ... Saturday 64."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ALL_DAYS:
        return value
    if not isinstance(value, str):
        raise _wrong(parameter)
    bits = 0
    for day in value.split(","):
        if day.strip().lower() not in _DAYS:
            raise _wrong(parameter)
        bits |= _DAYS[day.strip().lower()]
    return bits


def _read_text_or_object(parameter: Parameter, value: Any) -> str | dict[str, Any]:
    if not isinstance(value, str | dict):
        raise _wrong(parameter)
    read: str | dict[str, Any] = value
    if isinstance(value, str):
        read = _read_text(parameter, value)
    _check_size(parameter, read)
    return read


def _read_text_or_list(parameter: Parameter, value: Any) -> str | list[str]:
    if isinstance(value, str):
        return _read_text(parameter, value)
    if not isinstance(value, list) or len(value) > LIST_ITEMS_MAX:
        raise InvalidParameterError(
            parameter.name, f"must be {parameter.kind.value}, {LIST_ITEMS_MAX} at most"
        )
    items = [_read_text(parameter, item) for item in value]
    _check_size(parameter, items)
    return items


def _check_size(parameter: Parameter, value: Any) -> None:
    try:
        size = len(msgspec.json.encode(value))
    except (UnicodeError, RecursionError) as error:
        raise InvalidParameterError(parameter.name, "cannot be written as JSON") from error
    if size > OBJECT_BYTES_MAX:
        text = f"must have at most {OBJECT_BYTES_MAX} bytes as JSON"
        raise InvalidParameterError(parameter.name, text)


_READERS: Final[dict[Kind, Callable[[Parameter, Any], Any]]] = {
    Kind.WORD: _read_word,
    Kind.NUMBER: _read_number,
    Kind.INTEGER: _read_integer,
    Kind.BOOLEAN: _read_boolean,
    Kind.TEXT: _read_text,
    Kind.PIN: _read_pin,
    Kind.DAYS: _read_days,
    Kind.TEXT_OR_OBJECT: _read_text_or_object,
    Kind.TEXT_OR_LIST: _read_text_or_list,
}
