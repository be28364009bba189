"""JSON signals: `{"time_us": ..., "signals": {name: value}}` or an array of such objects.

Values are scalars: a boolean, a number, text, or null for "unavailable". Units are the catalogue's
stored ones. A nested value, or a name that is empty or over long, is left out and counted; the rest
of the record stands. A payload without `signals` is not of this encoding.
"""

from typing import Any, Final

import msgspec

from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.readings import Reading, Scalar
from motorcade.signals.samples import NAME_BYTES_MAX

TIME_US_END: Final = 1 << 63
INTEGER_BITS_MAX: Final = 256  # text beyond 2^53; beyond this no value at all


class _Element(msgspec.Struct):
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
    signals = {name: value for name, value in element.signals.items() if _is_signal(name, value)}
    return Reading(read_time(element.time_us), signals, len(element.signals) - len(signals))


def _is_signal(name: str, value: Any) -> bool:
    if not isinstance(value, Scalar) or not 0 < len(name) <= NAME_BYTES_MAX:
        return False
    return not isinstance(value, int) or value.bit_length() <= INTEGER_BITS_MAX


def read_time(time_us: Any) -> int | None:
    """`time_us` if it is an instant that a record can hold."""
    if isinstance(time_us, int) and not isinstance(time_us, bool) and 0 <= time_us < TIME_US_END:
        return time_us
    return None
