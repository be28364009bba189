"""The promises of the meters' ledger: what sites have measured and cars have told, by time.

1. **Derived.** Everything comes from topics `energy` and `diagnostics` of the log, cars' charging
   sessions from `telemetry` by live state (`state/charges.py`): nothing is estimated but what lies
   between two samples, which is taken as even. It is behind the log by `energy.ledger_commit_s`.
2. **Repeatable.** Records may be applied again, after a crash or a resend: the ledger is the same.
3. **Bounded.** A meter is kept at one point per `SLOT_US`, for `energy.ledger_s_max`; of a car the
   newest `TOLD_MAX` alerts, as many errors, and `energy.sessions_per_vehicle_max` sessions.

Reading methods may be called from any thread; each costs at most some ten milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from motorcade.events import VehicleToken

SLOT_US: Final = 300 * 1_000_000

METERS: Final = (
    "solar_to_house_energy",
    "solar_to_battery_energy",
    "solar_to_grid_energy",
    "battery_to_house_energy",
    "battery_to_grid_energy",
    "grid_to_house_energy",
    "grid_to_battery_energy",
)
"""Signals that count joules, in the order of a point's."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the meters showed at an instant: the last one known of its slot."""

    time_us: int  # the site's
    joules: tuple[int, ...]  # by `METERS`; fewer than before: the meters were exchanged


@dataclass(frozen=True, slots=True)
class Span:
    """An outage of the grid, or a car's charging session."""

    start_s: int  # Unix time, the site's
    duration_s: int  # so far, while it is on
    energy_j: int = 0  # into the car


TOLD_MAX: Final = 100  # alerts of a car, and errors, that are kept


@dataclass(frozen=True, slots=True)
class Alert:
    """What a car's own supervision found."""

    name: str
    started_us: int  # the car's clock
    ended_us: int = 0  # 0: as far as it has told, it is on
    audiences: tuple[str, ...] = ()  # customer, service, service-fix


@dataclass(frozen=True, slots=True)
class StreamError:
    """What went wrong while a car streamed, in its own words."""

    name: str
    time_us: int  # the car's clock
    body: str = ""


@dataclass(frozen=True, slots=True)
class ChargeSession:
    """A car's charge, from begin to end; what the car did not tell is `None`."""

    vehicle: VehicleToken
    start_us: int  # the car's clock
    end_us: int
    energy_j: int | None  # into the battery; of cars that do not tell it, from the charger
    direct_current: bool
    start_soc: float | None  # %
    end_soc: float | None
    place: str = ""  # the operator's charging place where it stood; "": none
    home: bool = False  # the car said that it is at home


@dataclass(frozen=True, slots=True)
class ChargesAsked:
    """Which sessions of these cars: those that began from `from_us` and before `until_us`."""

    vehicles: Sequence[VehicleToken]
    from_us: int
    until_us: int
    limit: int
    offset: int = 0
    newest_first: bool = True


class Meters(Protocol):
    """Read side."""

    def sessions(self, asked: ChargesAsked) -> tuple[list[ChargeSession], int]:
        """Charging sessions by their begin, and how many there are in all."""

    def alerts(self, vehicle: VehicleToken) -> list[Alert]:
        """The newest first."""

    def errors(self, vehicle: VehicleToken) -> list[StreamError]:
        """The newest first."""

    def errors_among(
        self, vehicles: Sequence[VehicleToken], limit: int
    ) -> list[tuple[VehicleToken, StreamError]]:
        """The newest of these cars' errors, the newest first."""

    def around(self, site: VehicleToken, times_us: Sequence[int]) -> list[Point]:
        """The points before and after each instant, where there are any; sorted, each once."""

    def outages(
        self, site: VehicleToken, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        """Those that began in between, the newest first, at most `limit`; and how many in all."""

    def charges(
        self, site: VehicleToken, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        """The same of charging sessions."""

    def tariff(self, site: VehicleToken) -> str:
        """The tariff the site has last said it obeys, JSON; "null" for none."""
