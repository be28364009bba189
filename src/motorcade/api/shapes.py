"""The bodies of answers as types: JSON and the OpenAPI document are drawn from them.

Member names are Tesla's where Tesla has them (protocol page of the Fleet API, §1.1 and §1.2).
"""

from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from motorcade.api.rights import shown_parameters
from motorcade.commands.port import CommandView
from motorcade.commands.states import State
from motorcade.commands.table import show_parameters
from motorcade.wire.command.messages import SIGNED_COMMAND

_Shape = TypeVar("_Shape")


class Envelope(Struct, Generic[_Shape]):
    """Around every answer but lists."""

    response: _Shape


class GranularAccess(Struct):
    hide_private: bool = False


class VehicleEntry(Struct, kw_only=True):
    """A vehicle. What we cannot know has Tesla's null."""

    id: int
    id_s: str
    vehicle_id: int
    user_id: int
    vin: str
    display_name: str
    access_type: str = "OWNER"
    state: str  # online, offline
    in_service: bool = False
    option_codes: str | None = None
    color: str | None = None
    granular_access: GranularAccess = field(default_factory=GranularAccess)
    tokens: list[str] = []
    calendar_enabled: bool = True
    api_version: int | None = None
    command_signing: str = "off"  # plain commands reach it; we sign them to the car ourselves


class Pagination(Struct, kw_only=True):
    previous: int | None
    next: int | None
    current: int
    per_page: int
    count: int  # of all pages
    pages: int


class VehicleList(Struct, kw_only=True):
    response: list[VehicleEntry]
    pagination: Pagination
    count: int  # of this page


class CommandResult(Struct):
    """Tesla's answer to a command that reached the vehicle."""

    result: bool
    reason: str


class StepShown(Struct):
    """One entry of a timeline; the car's answer to a signed command is its sender's alone."""

    state: State
    time_us: int
    reason: str


class CommandShown(Struct, kw_only=True):
    """A command with its timeline."""

    id: str
    name: str
    parameters: dict[str, Any]
    state: State
    final: bool
    reason: str
    expires_time_us: int
    idempotency_key: str
    timeline: list[StepShown]


def shown(view: CommandView, scopes: frozenset[str]) -> CommandShown:
    """A command as the API and its WebSocket show it to a token with these scopes."""
    parameters = show_parameters(view.name, shown_parameters(view.name, view.parameters, scopes))
    if view.name == SIGNED_COMMAND:
        parameters = {}  # a signed message may hold PINs and places
    return CommandShown(
        id=view.id,
        name=view.name,
        parameters=parameters,
        state=view.state,
        final=view.final,
        reason=view.reason,
        expires_time_us=view.expires_time_us,
        idempotency_key=view.idempotency_key,
        timeline=[StepShown(s.state, s.time_us, s.reason) for s in view.timeline],
    )
