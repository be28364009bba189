"""JSON signals: `{"time_us": ..., "signals": {name: value}}` or an array of such objects.

Values are scalars: a boolean, a number, text, or null for "unavailable". Units are the catalogue's
stored ones. A nested value, or a name that is empty or over long, is left out and counted; the rest
of the record stands. A payload without `signals` is not of this encoding.
"""

from typing import Any, Final

import msgspec

from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.readings import Reading
from motorcade.signals.samples import NAME_BYTES_MAX

TIME_US_END: Final = 1 << 63
_INTEGER_END: Final = 1 << 256  # text beyond 2^53; beyond this no value at all
_SCALARS: Final = frozenset({type(None), bool, int, float, str})


class _Element(msgspec.Struct, gc=False):
    signals: dict[str, Any]
    time_us: Any = None  # anything but a possible instant counts as not given


_DECODER: Final = msgspec.json.Decoder(_Element | list[_Element])


def read_json(payload: bytes) -> list[Reading]:
    """The readings, in the order sent.

    Raises:
        MalformedPayloadError: not JSON of this shape.
    """
    try:
        decoded = _DECODER.decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise MalformedPayloadError(f"not JSON signals: {error}") from error
    elements = decoded if isinstance(decoded, list) else [decoded]
    return [_reading(element) for element in elements]


def _reading(element: _Element) -> Reading:
    signals: dict[str, Any] = {
        name: value
        for name, value in element.signals.items()
        if value.__class__ in _SCALARS
        and 0 < len(name) <= NAME_BYTES_MAX
        and (value.__class__ is not int or -_INTEGER_END < value < _INTEGER_END)
    }
    return Reading(read_time(element.time_us), signals, len(element.signals) - len(signals))


def read_time(time_us: Any) -> int | None:
    """`time_us` if it is an instant that a record can hold."""
    if isinstance(time_us, int) and not isinstance(time_us, bool) and 0 <= time_us < TIME_US_END:
        return time_us
    return None
