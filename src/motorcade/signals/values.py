"""What a value means: typed and string forms become the same value, then SI and a stored number.

Cars without `prefer_typed` send nearly everything as strings, and some do so even with it
(protocol page §1.7), so every kind of signal reads every form:

* number: "12", "-0.5", "2.15e-2"; boolean: "true", "False", 1; enum: name with or without its
  prefix, or its number; location: "(37.412374 N, 122.145867 W)"; doors and tires: the names of
  those that are open or warn, separated by "|"; time of day: "07:30:00".
* "<invalid>" and Tesla's `invalid` mean: known to be unavailable, which is not the same as absent.

What does not fit the signal's kind is kept as it came: text as text, a number as a number.
"""

import math
import re
from typing import Final

from motorcade.signals.catalogue import BY_ID, COMPONENTS_OF, FIELDS, field_name
from motorcade.signals.enums import ENUM_BY_ALTERNATIVE
from motorcade.signals.readings import Scalar
from motorcade.signals.signal import Kind, Signal
from motorcade.signals.tesla import (
    DOOR_PARTS,
    TIME_PARTS,
    TIRE_PARTS,
    Datum,
    EnumNumber,
    Part,
    WireValue,
)

Stored = None | bool | float | str
"""`None`: unavailable. `bool` only for signals of no known kind; booleans of the table are 1.0 and
0.0, enums their number. `str`: text, and integers beyond 2^53, which float64 cannot hold."""

EXACT_INTEGER_MAX: Final = 1 << 53
NUMBER_TEXT_MAX: Final = 64  # longer digits are text: reading them costs and means nothing

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_LOCATION: Final = re.compile(r"\(([0-9]+(?:\.[0-9]+)?) ([NS]), ([0-9]+(?:\.[0-9]+)?) ([EW])\)")
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})")
_BOOLEANS: Final = {"true": True, "false": False}
_INVALID: Final = "<invalid>"


def read_value(signal: Signal | None, value: WireValue) -> WireValue:
    """The value in its signal's own kind and the sender's unit, whatever form it came in."""
    kind = signal.kind if signal is not None else Kind.ANY
    if isinstance(value, str):
        return _read_text(signal, kind, value)
    if isinstance(value, EnumNumber):
        return _read_enum(signal, kind, value)
    if isinstance(value, bool):
        return str(value).lower() if kind in (Kind.TEXT, Kind.ENUM) else value
    if isinstance(value, int | float):
        return _read_number(signal, kind, value)
    return value


def _read_number(signal: Signal | None, kind: Kind, value: int | float) -> WireValue:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if kind is Kind.TEXT:
        return str(value)
    if kind is Kind.ENUM and (isinstance(value, int) or value.is_integer()):
        assert signal is not None
        assert signal.enum is not None
        return EnumNumber(signal.enum.alternative, int(value))
    return value


def _read_enum(signal: Signal | None, kind: Kind, value: EnumNumber) -> WireValue:
    if signal is not None and signal.enum and signal.enum.alternative == value.alternative:
        return value
    names = ENUM_BY_ALTERNATIVE[value.alternative].full_names
    known = 0 <= value.number < len(names)
    if kind is Kind.TEXT:
        return names[value.number] if known else str(value.number)
    return names[value.number] if known else value.number


def _read_text(signal: Signal | None, kind: Kind, text: str) -> WireValue:
    if text == _INVALID:
        return None
    if kind is Kind.TEXT:
        return text
    if kind is Kind.ENUM:
        assert signal is not None
        assert signal.enum is not None
        number = signal.enum.numbers.get(text)
        if number is None and _INTEGER.fullmatch(text) and len(text) < 10:
            number = int(text)
        return text if number is None else EnumNumber(signal.enum.alternative, number)
    if kind is Kind.LOCATION:
        return read_location(text) or text
    if kind in (Kind.DOORS, Kind.TIRES):
        return _read_names(text, DOOR_PARTS if kind is Kind.DOORS else TIRE_PARTS) or text
    return _read_scalar(kind, text)


def _read_scalar(kind: Kind, text: str) -> WireValue:
    truth = _BOOLEANS.get(text.lower()) if len(text) < 6 else None
    if truth is not None:
        return truth
    if len(text) <= NUMBER_TEXT_MAX and _NUMBER.fullmatch(text):
        return _read_number(None, kind, int(text) if _INTEGER.fullmatch(text) else float(text))
    time = _TIME.fullmatch(text) if kind is Kind.NUMBER else None
    if time is not None:
        return dict(zip(TIME_PARTS, map(int, time.groups()), strict=True))
    return text


def read_location(text: str) -> dict[str, Part] | None:
    """`(37.412374 N, 122.145867 W)`: degrees, south and west negative."""
    match = _LOCATION.fullmatch(text) if len(text) <= NUMBER_TEXT_MAX else None
    if match is None:
        return None
    latitude, north_south, longitude, east_west = match.groups()
    return {
        "latitude": -float(latitude) if north_south == "S" else float(latitude),
        "longitude": -float(longitude) if east_west == "W" else float(longitude),
    }


def _read_names(text: str, parts: tuple[str, ...]) -> dict[str, Part] | None:
    """`DriverFront|TrunkRear`: those named are true, the others false; "" names none."""
    named = text.split("|") if text else []
    if not all(name in parts for name in named):
        return None
    return {part: part in named for part in parts}


def shown(value: WireValue) -> object:
    """As people read it: enums by their full name (by number where no name is known)."""
    if isinstance(value, EnumNumber):
        names = ENUM_BY_ALTERNATIVE[value.alternative].full_names
        return names[value.number] if 0 <= value.number < len(names) else value.number
    if isinstance(value, dict):
        return {name: part if math.isfinite(part) else None for name, part in value.items()}
    return value


def read_stored(signal: Signal | None, value: Scalar) -> Stored:
    """A value that came in the stored unit (JSON, packed samples), as it is stored.

    Text stays text where no table says otherwise: these senders have types of their own.
    """
    if value is None:
        return None
    kind = Kind.ANY if signal is None else signal.kind
    if isinstance(value, str):
        if kind in (Kind.ANY, Kind.LOCATION):
            return value
    elif kind is not Kind.TEXT and not isinstance(value, bool):  # the many, made short
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return float(value) if -EXACT_INTEGER_MAX <= value <= EXACT_INTEGER_MAX else str(value)
    read = read_value(signal, value)
    if isinstance(read, dict):
        return seconds_of_day(read) if "hour" in read else str(value)
    return stored(signal, read, 1.0)


def stored(signal: Signal | None, value: WireValue, scale: float) -> Stored:
    """A scalar, already read by `read_value`, as it is stored."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, EnumNumber):
        return float(value.number)
    assert not isinstance(value, dict)
    if isinstance(value, bool):
        return float(value) if signal is not None and signal.kind is not Kind.ANY else value
    if isinstance(value, int) and scale == 1.0 and abs(value) > EXACT_INTEGER_MAX:
        return str(value)
    number = float(value) * scale
    return number if math.isfinite(number) else None


def samples_of(datum: Datum) -> list[tuple[int | str, Stored]]:
    """A datum as (signal id, or the name of one that the table lacks, and stored value)."""
    signal = BY_ID[datum.field] if 0 <= datum.field < FIELDS else None
    value = read_value(signal, datum.value)
    if signal is None:
        return _split(field_name(datum.field), value)
    parts = COMPONENTS_OF.get(signal.id)
    if parts is not None and (value is None or _has(value, parts)):
        whole = value if isinstance(value, dict) else None
        return [(part.id, stored(part, whole and whole[part.component], 1.0)) for part in parts]
    if isinstance(value, dict) and "hour" in value and signal.kind is Kind.NUMBER:
        return [(signal.id, seconds_of_day(value))]
    if isinstance(value, dict):
        return _split(signal.name, value)
    return [(signal.id, stored(signal, value, signal.scale))]


def seconds_of_day(time: dict[str, Part]) -> float:
    """Tesla's `Time` as one number: hour, minute and second are its digits, not three signals."""
    return float(time["hour"] * 3600 + time["minute"] * 60 + time["second"])


def _has(value: WireValue, parts: tuple[Signal, ...]) -> bool:
    return isinstance(value, dict) and parts[0].component in value


def _split(name: str, value: WireValue) -> list[tuple[int | str, Stored]]:
    """Values where the table expects none of their shape, under names made for them."""
    if isinstance(value, dict):
        if "hour" in value:
            return [(name, seconds_of_day(value))]
        return [(f"{name}.{part}", stored(None, held, 1.0)) for part, held in value.items()]
    return [(name, stored(None, value, 1.0))]
