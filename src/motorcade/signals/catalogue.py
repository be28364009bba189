"""Looking up signals: by name, by id, by Tesla Field, and as the columns that kernels index.

The rows stand in `table.py`. Nothing here depends on a log: names that the table lacks get their
ids from `samples.Dictionary`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import fnv1a_64
from motorcade.signals.enums import ENUMS
from motorcade.signals.signal import Kind, Signal
from motorcade.signals.table import COMPONENTS, SIGNALS, TESLA_FIELDS

IDS_MAX: Final = 4_096  # the table's ids lie below; unknown names get theirs from here on
FIELDS: Final = len(TESLA_FIELDS)  # Field numbers from here on are unknown, and kept

BY_ID: Final[dict[int, Signal]] = {signal.id: signal for signal in SIGNALS}
BY_NAME: Final[dict[str, Signal]] = {signal.name: signal for signal in SIGNALS}
COMPONENTS_OF: Final[dict[int, tuple[Signal, ...]]] = {
    field.id: tuple(part for part in COMPONENTS if part.tesla_field == field.tesla_field)
    for field in TESLA_FIELDS
    if field.kind in (Kind.LOCATION, Kind.DOORS, Kind.TIRES)
}
"""A compound Field's components, in the order of its message's field numbers; ids are dense."""

HOT_IDS: Final = tuple(signal.id for signal in SIGNALS if signal.hot)
ENUM_NUMBERS: Final = {signal.id: signal.enum.numbers for signal in SIGNALS if signal.enum}


def field_name(number: int) -> str:
    """Tesla's name of a Field; `Field_260` for numbers that this catalogue does not know."""
    return TESLA_FIELDS[number].tesla_field if 0 <= number < FIELDS else f"Field_{number}"


# What the telemetry kernel needs of a Field, by its number.
FIELD_KINDS: Final = np.array([field.kind for field in TESLA_FIELDS], np.uint8)
FIELD_SCALES: Final = np.array([field.scale for field in TESLA_FIELDS], np.float64)
FIELD_ENUMS: Final = np.array(
    [field.enum.alternative if field.enum else 0 for field in TESLA_FIELDS], np.uint8
)
FIELD_COMPONENTS: Final = np.array(
    [COMPONENTS_OF[field.id][0].id if field.id in COMPONENTS_OF else -1 for field in TESLA_FIELDS],
    np.int32,
)


def _name_table() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Every enum's names for `kernels.find_name`: (letters, open-addressing table)."""
    words, table = bytearray(), np.zeros((4_096, 4), np.int64)
    for enum in ENUMS:
        for name, number in enum.numbers.items():
            data = name.encode()
            hashed = fnv1a_64(data) ^ enum.alternative
            place = hashed % len(table)
            while table[place, 2]:
                place = (place + 1) % len(table)
            signed = hashed - (1 << 64) if hashed >> 63 else hashed
            table[place] = signed, len(words), len(data), number
            words += data
    return np.frombuffer(bytes(words), np.uint8).copy(), table


ENUM_WORDS, ENUM_TABLE = _name_table()
KNOWN_IDS: Final = np.zeros(IDS_MAX, np.bool_)
KNOWN_IDS[list(BY_ID)] = True
