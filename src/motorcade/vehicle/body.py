"""What commands act upon: the car's doors, charger, climate, screen and settings, as data. No IO.

Times named `_s` are the car's own seconds since its start, unless they are named `unix_s`; -1 is
"never". Percentages are 0 to 100. What the parts do as time passes stands in `charging.py`,
`climate.py`, `media.py`, `navigation.py` and `model.py`; what commands do to them in `actions/`.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

CHARGER_V: Final = 230.0
CHARGER_PHASES: Final = 3
CHARGER_AMPS_MAX: Final = 16  # per phase, what cable and charger can carry
MPH_MPS: Final = 0.44704
STANDARD_LIMIT: Final = 0.9  # of the battery: what `charge_standard` sets
NEVER_S: Final = -1.0


class Charge(Enum):
    """The states of charging, by Tesla's names."""

    DISCONNECTED = "Disconnected"
    STOPPED = "Stopped"
    CHARGING = "Charging"
    COMPLETE = "Complete"


class Keeper(Enum):
    """What keeps the climate on while nobody drives, by Tesla's names and its REST numbers."""

    OFF = "Off"  # 0
    ON = "On"  # 1
    DOG = "Dog"  # 2
    PARTY = "Party"  # 3, the app says "camp"


class Overheat(Enum):
    """Cabin overheat protection, by Tesla's names."""

    OFF = "Off"
    ON = "On"
    FAN_ONLY = "FanOnly"


class Update(Enum):
    """The states of a software update, by Tesla's words in `vehicle_state`."""

    NONE = ""
    AVAILABLE = "available"
    SCHEDULED = "scheduled"
    INSTALLING = "installing"


DOORS: Final = ("driver_front", "driver_rear", "passenger_front", "passenger_rear")
TRUNKS: Final = ("front", "rear")
SEATS: Final = ("left", "right", "rear_left", "rear_center", "rear_right")
FRONT_SEATS: Final = ("left", "right")
KEEPERS: Final = tuple(Keeper)
OVERHEAT_LIMITS_DEGC: Final = {"Low": 30.0, "Medium": 35.0, "High": 40.0}
PARENTAL_SETTINGS: Final = (
    *("speed_limit", "acceleration", "safety_features", "curfew"),
    *("browser_blocked", "theater_blocked", "arcade_blocked"),
)


class Equipment(NamedTuple):
    """What this car was built with. The default is the commonest: no roof or lid that opens."""

    car_type: str = "Model3"  # of Tesla's CarTypeValue
    trim: str = "74D"
    exterior_color: str = "MidnightSilver"
    wheel_type: str = "Pinwheel18"
    sun_roof: bool = False
    tonneau: bool = False
    homelink_devices: int = 1
    boombox: bool = True
    seat_coolers: bool = False
    bioweapon: bool = False


@dataclass(slots=True)
class Lid:
    """A roof or cover with a motor: it goes to `target_percent` in its own time."""

    percent: float = 0.0  # 0 closed
    target_percent: float = 0.0

    @property
    def at_rest(self) -> bool:
        return self.percent == self.target_percent


@dataclass(slots=True)
class Departure:
    """Be ready every day at a time; minutes after midnight, local."""

    departure_minute: int
    preconditioning: bool
    preconditioning_weekdays: bool  # on weekdays only
    off_peak: bool
    off_peak_weekdays: bool
    off_peak_end_minute: int


@dataclass(frozen=True, slots=True)
class ChargeSchedule:
    """Charge at a place within a window; minutes after midnight, local."""

    id: int
    name: str
    days: int  # bits, Sunday 1
    enabled: bool
    one_time: bool
    latitude_deg: float
    longitude_deg: float
    start_minute: int | None
    end_minute: int | None


@dataclass(frozen=True, slots=True)
class PreconditionSchedule:
    """Have a pleasant cabin at a place and time; minutes after midnight, local."""

    id: int
    name: str
    days: int
    enabled: bool
    one_time: bool
    latitude_deg: float
    longitude_deg: float
    minute: int


@dataclass(slots=True)
class Charging:
    """The charger's settings. The state itself is `Body.charge`."""

    port_open: bool = False
    amps: int = CHARGER_AMPS_MAX  # wanted, per phase
    managed_amps: int | None = None  # what a site's manager allows
    managed_place: tuple[float, float] | None = None
    managed_minute: int | None = None  # a site's manager's start, after midnight
    start_minute: int | None = None  # scheduled charging
    last_start_minute: int = 0  # remembered while it is off
    departure: Departure | None = None
    schedules: dict[int, ChargeSchedule] = field(default_factory=dict)
    pending: bool = False  # plugged in, and waiting for a schedule
    started_by: int = 0  # the schedule whose end will stop this charging
    session_j: float = 0.0  # into the battery since it was plugged in


@dataclass(slots=True)
class Climate:
    """Beyond on, off and the temperatures, which are `Body`'s."""

    keeper: Keeper = Keeper.OFF
    defrost: bool = False  # preconditioning at its maximum
    bioweapon: bool = False
    overheat: Overheat = Overheat.ON
    overheat_limit: str = "High"
    seat_heaters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SEATS, 0))
    seat_coolers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FRONT_SEATS, 0))
    seat_auto: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FRONT_SEATS, False))
    wheel_level: int = 0
    wheel_auto: bool = False
    schedules: dict[int, PreconditionSchedule] = field(default_factory=dict)
    preconditioning: bool = False  # by a schedule, now
    acting: frozenset[int] = frozenset()  # the schedules that ask for it
    declined: bool = False  # somebody switched this preconditioning off
    protecting: bool = False  # overheat protection works now
    load_w: float = 0.0  # electrical, now


@dataclass(slots=True)
class Media:
    playing: bool = True
    volume: float = 3.0
    track: int = 0
    station: int = 0
    favourite: bool = False  # a favourite station plays, not the list of tracks
    position_s: float = 0.0


class Stop(NamedTuple):
    """A place to go; one that only has a name cannot be measured."""

    name: str
    latitude_deg: float | None = None
    longitude_deg: float | None = None


PIN_MODES: Final = ("valet", "pin_to_drive", "speed_limit", "parental")


@dataclass(slots=True)
class PinLock:
    """How often a mode's PIN was got wrong."""

    wrong_tries: int = 0  # since the last right one, or since it was locked
    until_unix_s: float = 0.0  # no PIN is looked at before


@dataclass(slots=True)
class Security:
    """Each mode of `PIN_MODES` is on or off, and has the PIN of its name with `_pin`, or none."""

    sentry: bool = False
    valet: bool = False
    valet_pin: str = ""
    pin_to_drive: bool = False
    pin_to_drive_pin: str = ""
    speed_limit: bool = False
    speed_limit_pin: str = ""
    speed_limit_mps: float = 85 * MPH_MPS
    parental: bool = False
    parental_pin: str = ""
    parental_settings: set[str] = field(default_factory=set)
    parental_limit_mps: float = 85 * MPH_MPS
    pin_locks: dict[str, PinLock] = field(
        default_factory=lambda: {mode: PinLock() for mode in PIN_MODES}
    )
    guest: bool = False
    remote_start_until_s: float = NEVER_S


@dataclass(slots=True)
class Software:
    version: str = ""
    update: Update = Update.NONE
    update_version: str = ""
    due_s: float = NEVER_S  # installation begins, or a new version comes
    done_s: float = NEVER_S  # installation ends


@dataclass(slots=True)
class Settings:
    name: str = ""  # "": nobody named it; the account's name for it stands
    low_power: bool = False
    accessory_power: bool = False
    drive_notes: list[str] = field(default_factory=list)
    calendar_bytes: int = 0  # what the phone last told of its calendar


@dataclass(slots=True)
class Body:
    """What commands act upon."""

    locked: bool = True
    doors_open: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(DOORS, False))
    trunks_open: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(TRUNKS, False))
    windows_percent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DOORS, 0.0))
    sun_roof: Lid = field(default_factory=Lid)
    tonneau: Lid = field(default_factory=Lid)
    horn_until_s: float = NEVER_S
    lights_until_s: float = NEVER_S
    homelink_until_s: float = NEVER_S
    boombox_until_s: float = NEVER_S
    climate_on: bool = False
    driver_temp_degc: float = 21.0
    passenger_temp_degc: float = 21.0
    stops: list[Stop] = field(default_factory=list)  # the next one first
    charge_limit: float = STANDARD_LIMIT
    charge: Charge = Charge.DISCONNECTED
    charging: Charging = field(default_factory=Charging)
    climate: Climate = field(default_factory=Climate)
    media: Media = field(default_factory=Media)
    security: Security = field(default_factory=Security)
    software: Software = field(default_factory=Software)
    settings: Settings = field(default_factory=Settings)

    @property
    def destination(self) -> str:
        """Where it goes next; empty when nobody said."""
        return self.stops[0].name if self.stops else ""

    @property
    def opened_lids(self) -> bool:
        """A door or lid is open."""
        return any(self.doors_open.values()) or any(self.trunks_open.values())

    @property
    def opened(self) -> bool:
        """A door or lid is open, or under way: nobody drives so."""
        return self.opened_lids or not (self.sun_roof.at_rest and self.tonneau.at_rest)
