"""What a signal is: the columns of the catalogue's table, and short ways to write its rows.

A signal's value is stored in SI units: `stored = sent * scale`, where `sent` is in Tesla's unit.
Two deliberate exceptions, because everybody means them: temperatures in degC, ratios in %. Our own
vehicles and JSON senders use the stored unit, so their scale is 1 whatever the row says. `low` and
`high` are the plausible range in the stored unit: detectors and charts use it, nothing is dropped
for lying outside.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from motorcade.signals.enums import TeslaEnum

MPH: Final = 0.44704  # m/s
MILE: Final = 1609.344  # m
MINUTE: Final = 60.0  # s
HOUR: Final = 3600.0  # s
KWH: Final = 3.6e6  # J
KILO: Final = 1e3
MILLI: Final = 1e-3
RPM: Final = 0.10471975511965977  # rad/s, 2 pi / 60
BAR: Final = 1e5  # Pa


class Kind(IntEnum):
    """How a value is read. The kernels know these numbers."""

    ANY = 0  # whatever was sent: number, boolean or text
    NUMBER = 1
    BOOLEAN = 2  # 1.0 and 0.0
    ENUM = 3  # the enum's number
    TEXT = 4
    LOCATION = 5  # a Tesla Field of two component signals
    DOORS = 6  # ... of six
    TIRES = 7  # ... of ten


class Privacy(StrEnum):
    """Who may see a signal: consents and exports go by class (design §2, P8)."""

    NONE = "none"
    BEHAVIOUR = "behaviour"  # how somebody drives, sits, heats
    LOCATION = "location"
    MEDIA = "media"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Signal:
    id: int  # stored and sent: never reuse one
    name: str
    kind: Kind
    unit: str = ""  # of stored values; times of day and instants are in s
    low: float = 0.0
    high: float = 0.0  # 0, 0: no range
    privacy: Privacy = Privacy.NONE
    scale: float = 1.0
    tesla_field: str = ""  # the Field's name; its number is the id, but for components
    component: str = ""  # which part of a compound Field, in Tesla's spelling
    enum: TeslaEnum | None = None
    vss: str = ""  # COVESA's path where there is an obvious one
    hot: bool = False  # a dense column in live state; the others are sparse
