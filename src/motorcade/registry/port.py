"""The registry's promises: who may come in, and which vehicle is which. The only home of a VIN.

1. **Durable.** A method that changes something returns when the change is on disk, whole or not
   at all.
2. **Shared.** Several processes hold the same registry (gateway, api, command line). A change of
   one is seen by the next read of every other; `changes` rises with it.
3. **Fast to read.** Look-ups stand on connect paths: they cost far less than a millisecond.
4. **Secrets are shown once.** Passwords leave in the answer of the call that made them; only a
   keyed hash is stored.
5. **Removing ends access, it does not erase.** A removed vehicle has no principal, no look-up
   finds it, its certificates are refused, also when its VIN is added again (with a new token).
   Its row and data key stay, because stored records name them; erasing means destroying the key
   (design P8).

Methods may be called from any thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from motorcade.events import NO_VEHICLE, VehicleToken
from motorcade.identity.port import OWNER_SUBJECT


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A registered vehicle. Outside the registry and the API's edge it is its token."""

    id: int  # Tesla's `id`: below 2**53, never used again
    vin: str  # ISO 3779, upper case
    token: VehicleToken
    display_name: str
    key_id: int  # the data key whose destruction erases the vehicle's person (P8)
    added_time_us: int
    owner: str = OWNER_SUBJECT  # whose it is: a subject


@dataclass(frozen=True, slots=True)
class NewVehicle:
    """What `add_vehicles` and `renew_vehicle` give: the only sight of the password."""

    vehicle: Vehicle
    password: str  # MQTT, user name = token; ASCII


@dataclass(frozen=True, slots=True)
class Operator:
    """An MQTT account of people or tools."""

    name: str
    deny_subscribe: tuple[str, ...]
    added_time_us: int


@dataclass(frozen=True, slots=True)
class SiteDescription:
    """What is told of an energy site when it is added."""

    name: str
    time_zone: str  # IANA, where it stands
    battery_count: int
    solar_w_peak: int
    wall_connector: bool


@dataclass(frozen=True, slots=True)
class Site:
    """A registered energy site. Outside the registry and the API's edge it is its token."""

    id: int  # Tesla's `energy_site_id`: below 2**53, never used again, no vehicle's id
    token: VehicleToken
    description: SiteDescription
    key_id: int
    added_time_us: int


@dataclass(frozen=True, slots=True)
class NewSite:
    """What `add_site` gives: the only sight of the password."""

    site: Site
    password: str  # MQTT, user name = token; ASCII


class PrincipalKind(StrEnum):
    """Who stands behind a connection."""

    VEHICLE = "vehicle"  # or an energy site: a device with a token of its own
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated peer: what the doors decide with. Holds no VIN."""

    kind: PrincipalKind
    name: str  # a vehicle's token, an operator's name
    token: VehicleToken = NO_VEHICLE  # of a vehicle; "" for operators
    key_id: int = 0  # of a vehicle: goes into its records
    deny_subscribe: tuple[str, ...] = ()  # MQTT filters an operator may not subscribe to


class Registry(Protocol):
    """Vehicles, their keys and certificates, and the accounts of MQTT."""

    def vehicle_by_vin(self, vin: str) -> Vehicle | None:
        """The vehicle with this VIN, `None` if there is none or it was removed."""

    def vehicle_by_token(self, token: str) -> Vehicle | None:
        """The vehicle with this token, `None` if there is none or it was removed."""

    def vehicle_by_id(self, vehicle_id: int) -> Vehicle | None:
        """The vehicle with this id, `None` if there is none or it was removed."""

    def vehicles(self, offset: int, limit: int, owner: str = "") -> list[Vehicle]:
        """Vehicles in the order they were added, all or one owner's; at most `limit`, after
        skipping `offset`."""

    def vehicle_count(self, owner: str = "") -> int:
        """How many vehicles there are, or are one owner's; removed ones not counted."""

    def add_vehicles(self, vins: Sequence[str], owner: str = OWNER_SUBJECT) -> list[NewVehicle]:
        """Add vehicles of this subject, all or none, in the order given.

        Raises:
            InvalidVinError: a VIN that ISO 3779 does not allow; the text says why.
            InvalidNameError: no subject is called so.
            AlreadyExistsError: a VIN that is here already, or twice in `vins`.
        """

    def renew_vehicle(self, vin: str) -> NewVehicle:
        """Draw a new password and refuse every certificate issued so far; the token stays.

        Raises:
            NotFoundError: no such vehicle.
        """

    def remove_vehicle(self, vin: str) -> Vehicle:
        """End the access of a vehicle. Raises `NotFoundError` when there is none."""

    def record_certificates(self, certificates: Sequence["IssuedCertificate"]) -> None:
        """Note certificates that our vehicle CA issued; one it does not know is refused."""

    def authenticate(self, username: str, password: bytes) -> Principal | None:
        """The owner of these MQTT credentials, `None` if they do not fit."""

    def principal_of_vin(self, vin: str, serial: str = "") -> Principal | None:
        """The vehicle behind a client certificate, `None` if there is none or it was removed.

        `serial` is that of a certificate of our own vehicle CA (`identity.port.peer_of`): it must
        have been issued to this vehicle and not been refused since. "" stands for a certificate
        of another CA that the TLS door trusts.
        """

    def add_operator(self, name: str, deny_subscribe: Sequence[str] = ()) -> str:
        """Add an MQTT account for people and tools; returns its password.

        Raises:
            InvalidNameError: a name or filter that MQTT would not carry; the text says why.
            AlreadyExistsError: the name is taken.
        """

    def add_site(self, description: SiteDescription) -> NewSite:
        """Add an energy site.

        Raises:
            InvalidNameError: a name or size that no site has; the text says why.
        """

    def site_by_id(self, site_id: int) -> Site | None:
        """The site with this id, `None` if there is none or it was removed."""

    def sites(self, offset: int, limit: int) -> list[Site]:
        """Sites in the order they were added; at most `limit`, after skipping `offset`."""

    def site_count(self) -> int:
        """How many sites there are, removed ones not counted."""

    def remove_site(self, site_id: int) -> Site:
        """End the access of a site. Raises `NotFoundError` when there is none."""

    def operators(self) -> list[Operator]:
        """Every operator, by name."""

    def remove_operator(self, name: str) -> None:
        """End the access of an operator. Raises `NotFoundError` when there is none."""

    def changes(self) -> int:
        """A number that rises with each change, by whichever process: cached answers are stale."""

    def close(self) -> None:
        """Release files."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A client certificate of our own vehicle CA."""

    vin: str
    serial: str  # upper-case hex without leading zeros beyond a whole byte, as `ssl` prints it
    expires_time_us: int
