"""Key lists as the cars confirmed them, approvals on their way, telemetry configurations.

1. **The car's word.** `state_of` is what a car last said of itself; nothing else writes it. A
   request to change it stays open until the car answered.
2. **Durable, shared.** As the registry's. Writing raises no `changes`: no door decides by it.
3. **Last wins.** A vehicle has one telemetry configuration; a new one takes the place of the one
   before, and is in force once the car has it (`synced`).

Methods may be called from any thread, and write to disk: call those from a thread of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from motorcade.events import VehicleToken

ADD_KEY = "add"
REMOVE_KEY = "remove"
DONE = "done"


@dataclass(frozen=True, slots=True)
class PairedKey:
    """A key that a car obeys."""

    slot: int
    public_key: str  # hex of the 65 bytes of an uncompressed point of P-256
    role: str  # a name of `Keys.Role`: OWNER, DRIVER, FM, ...
    form_factor: int  # `VCSEC.KeyFormFactor`; 9: in the cloud


@dataclass(frozen=True, slots=True)
class SigningState:
    """How a car stands to signed commands, as it told."""

    signed_commands: str  # "none", "supported" or "required"
    keys: tuple[PairedKey, ...] = ()

    @property
    def supported(self) -> bool:
        return self.signed_commands != "none"

    @property
    def required(self) -> bool:
        """Tesla's `vehicle_command_protocol_required`."""
        return self.signed_commands == "required"

    def has(self, public_key: str) -> bool:
        """Whether this key (hex) is paired."""
        return any(key.public_key == public_key for key in self.keys)


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A change of a car's key list that its owner approved."""

    id: int
    vehicle: VehicleToken
    action: str  # ADD_KEY or REMOVE_KEY
    public_key: str
    role: str  # "" for a removal
    form_factor: int
    result: str = ""  # "": the car has not answered; DONE; else why it refused

    @property
    def open(self) -> bool:
        return not self.result


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """What a vehicle is to stream, and to whom. The token is what the car checks and obeys."""

    vehicle: VehicleToken
    version: int  # rises with each change of the vehicle's
    token: str  # the JWS; "": stream no more
    config: str  # its claims, JSON; "" without a token
    issuer: str  # hex of the key that signed it
    client_id: str  # the app that brought it; "": nobody knows
    synced: bool  # the car has it
    refusal: str = ""  # why the car does not take it


def key_told(public_key: str) -> str:
    """Enough of a public key to know it by."""
    return f"key ...{public_key[-8:]}"


class Waiting(NamedTuple):
    """Something waits for this vehicle."""

    place: int  # where a list that was cut goes on
    vehicle: VehicleToken


class Signing(Protocol):
    """See the module."""

    def state_of(self, vehicle_id: int) -> SigningState | None:
        """What the vehicle last told; `None` if it never did."""

    def tell(self, states: Mapping[VehicleToken, SigningState]) -> None:
        """Store what vehicles told, in one transaction; unknown vehicles are left out."""

    def ask(
        self, vehicle_id: int, action: str, public_key: str, role: str, form_factor: int
    ) -> KeyRequest:
        """Note an approval; the platform carries it to the car.

        Raises:
            NotFoundError: no such vehicle.
        """

    def request(self, request_id: int) -> KeyRequest | None:
        """A request by id."""

    def requests(self, vehicle_id: int) -> list[KeyRequest]:
        """The open requests of a vehicle, oldest first."""

    def changes(self) -> int:
        """Another number than the last time if anything may have been written since, by anyone."""

    def cars_with_requests(self, after: int, limit: int) -> list[Waiting]:
        """Up to `limit` open requests by rising id, from the one after `after` on (0: all)."""

    def end(self, request_id: int, result: str) -> None:
        """The car answered."""

    def config_of(self, vehicle_id: int) -> TelemetryConfig | None:
        """The vehicle's telemetry configuration, a withdrawn one included."""

    def configure(
        self, vehicle_id: int, token: str, config: str, issuer: str, client_id: str
    ) -> TelemetryConfig:
        """Set the vehicle's configuration; an empty token withdraws it.

        Raises:
            NotFoundError: no such vehicle.
        """

    def cars_with_configs(self, after: int, limit: int) -> list[Waiting]:
        """The same of configurations that their cars neither have nor refused, by vehicle id."""

    def refused(self, issuer: str, client_id: str) -> list[TelemetryConfig]:
        """Configurations that this key (hex) signed and this app brought, and their cars do not
        take."""

    def configured(self, issuer: str, client_id: str) -> list[VehicleToken]:
        """The cars that are to stream by a configuration of this key (hex) and app."""

    def sync(self, vehicle: VehicleToken, version: int, refusal: str) -> None:
        """The car has this version, or refused it."""
