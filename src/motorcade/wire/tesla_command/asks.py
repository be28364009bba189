"""What an authenticated payload asks of a car: the protocol's actions in the words of our commands.

One reading for both ends: the cloud lets pass by it what a token's scopes allow, the car obeys by
it what a key's role allows. No IO.
"""

from dataclasses import dataclass
from typing import Any

from tesla_protocol.command.vcsec_pb2 import (
    ClosureMoveRequest,
    InformationRequest,
    WhitelistOperation,
)

from motorcade.wire.tesla_command.errors import TeslaCommandError
from motorcade.wire.tesla_command.rights import Right, right_of


class UndecodableError(TeslaCommandError):
    """The payload is no message of its domain."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A command by its name and parameters of `commands/table.py`, as if checked there."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deeds:
    """Do all of these, or none."""

    deeds: tuple[Deed, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """Tell these states; the names are those of `VehicleData`'s members."""

    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer, no more."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class Information:
    """Tell of the car's body or its key list; needs no key."""

    request: InformationRequest


@dataclass(frozen=True, slots=True)
class Closures:
    """Move lids and flaps."""

    request: ClosureMoveRequest


@dataclass(frozen=True, slots=True)
class KeyOperation:
    """Change the key list."""

    operation: WhitelistOperation


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An action that no car of ours has; `name` is the protocol's."""

    name: str


Ask = Deeds | Data | Ping | Information | Closures | KeyOperation | Unsupported


def rights_of(ask: Ask) -> frozenset[Right]:
    """All of these are needed."""
    match ask:
        case Deeds(deeds=deeds):
            return frozenset(right_of(deed.name) for deed in deeds)
        case Data(states=states):
            place = {Right.LOCATE} if "location_state" in states else set()
            return frozenset({Right.READ, *place})
        case Ping() | Information():
            return frozenset({Right.PUBLIC})
        case Closures(request=request):
            moved = {field.name for field, _ in request.ListFields()}
            return frozenset({Right.CHARGE if moved == {"chargePort"} else Right.CONTROL})
        case KeyOperation():
            return frozenset({Right.KEYS})
        case Unsupported():
            return frozenset({Right.CONTROL})
