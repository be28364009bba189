"""Looking up signals: by name, by id, by Tesla Field, and as the columns that kernels index.

The rows stand in `table.py`. Nothing here depends on a log: names that the table lacks get their
ids from `samples.Dictionary`.
"""

from typing import Final

import numpy as np

from motorcade.signals.enums import ENUMS
from motorcade.signals.name_table import NameTable
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


def _enum_names() -> NameTable:
    """Every enum's names, told apart by its alternative."""
    names = NameTable()
    for enum in ENUMS:
        for name, number in enum.numbers.items():
            assert names.add(name, number, salt=enum.alternative)
    return names


ENUM_NAMES: Final = _enum_names()

# What the JSON kernel needs of a signal, by its id.
SIGNAL_KINDS: Final = np.zeros(IDS_MAX, np.uint8)
SIGNAL_ENUMS: Final = np.zeros(IDS_MAX, np.uint8)
for _signal in SIGNALS:
    SIGNAL_KINDS[_signal.id] = _signal.kind
    SIGNAL_ENUMS[_signal.id] = _signal.enum.alternative if _signal.enum else 0

KNOWN_IDS: Final = np.zeros(IDS_MAX, np.bool_)
KNOWN_IDS[list(BY_ID)] = True
