"""`POST signed_command`: a message for the car's own ears, carried, not read over.

The platform holds no command key: it checks what a token's scopes let pass, which is why payloads
are not encrypted on this road, and hands the bytes to the router. The car judges; its answer comes
back as it is. HTTP 200 says that the car answered, not that it obeyed.
"""

import base64
import binascii
from typing import Final

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.api.commands import carry_out, read_headers
from motorcade.api.counter import AnyRequest, Counter, read_body
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, missing_scopes, offline
from motorcade.api.presence import ASLEEP, OFFLINE, presence_now
from motorcade.api.rights import COMMANDS, DEVICE_DATA, LOCATION
from motorcade.api.shapes import Envelope
from motorcade.commands.port import CommandView, Request
from motorcade.commands.states import State
from motorcade.commands.table import CHARGING_SCOPES, COMMANDS_SCOPES
from motorcade.wire.command.messages import SIGNED_COMMAND
from motorcade.wire.tesla_command.asks import Ask, UndecodableError, rights_of
from motorcade.wire.tesla_command.errors import MalformedMessageError
from motorcade.wire.tesla_command.infotainment import read_infotainment
from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC, read_message
from motorcade.wire.tesla_command.rights import Right
from motorcade.wire.tesla_command.vcsec import read_vcsec

UNSUPPORTED: Final = "vehicle does not support signed commands"
"""422. Tesla's proxy then sends plain commands to this car, and remembers it."""

SCOPES: Final[dict[Right, tuple[str, ...]]] = {
    Right.PUBLIC: (),
    Right.READ: (DEVICE_DATA,),
    Right.LOCATE: (LOCATION,),
    Right.CHARGE: CHARGING_SCOPES,
    Right.CONTROL: COMMANDS_SCOPES,
    Right.ACCESS: COMMANDS_SCOPES,
    Right.KEYS: (COMMANDS,),
}
"""Any one of them lets pass what needs this right; none: the route's own scopes are enough."""

_READERS: Final = {VCSEC: read_vcsec, INFOTAINMENT: read_infotainment}
_HANDLED: Final = frozenset({State.EXECUTED, State.REFUSED})
_UNKNOWN_COMMAND: Final = "unknown_command"  # what an agent without the protocol says


@post("/api/1/vehicles/{tag:str}/signed_command", status_code=200)
async def signed_command(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[str]]:
    """Carry a signed message to the vehicle and its answer back, both in base64."""
    begun_us = counter.clock.now_us()
    access, vehicle = counter.admit(request, tag)
    data, message = _read((await read_body(request)).get("routable_message"))
    # The car's answer is the app's to read, and goes by as it is.
    check_scopes(counter.sight(access, vehicle).unjudged(access.scopes), message)
    state = counter.signing_of(vehicle)
    if state is not None and not state.supported:
        raise ApiError(422, UNSUPPORTED)
    here = presence_now(counter.state, vehicle.token)
    # The body controller hears while the rest sleeps: it is what one wakes a car by.
    if here == OFFLINE or (here == ASLEEP and message.to_destination.domain != VCSEC):
        raise offline()
    key, expires_s = read_headers(request, counter)
    parameters = {"routable_message": base64.b64encode(data).decode()}
    asked = Request(vehicle.token, SIGNED_COMMAND, parameters, access.subject, key, expires_s)
    view = await carry_out(counter, access, asked)
    counter.answered(view.id, begun_us, "http")
    return _answer(view)


def check_scopes(held: frozenset[str], message: RoutableMessage) -> None:
    """Whether these scopes of a token let this message pass. Raises the 403 and the 400."""
    if message.WhichOneof("payload") == "session_info_request":
        return
    kind = message.signature_data.WhichOneof("sig_type")
    if kind not in (None, "HMAC_Personalized_data"):
        text = "sign with HMAC-SHA256: what is encrypted, scopes cannot be checked on"
        raise ApiError(400, "invalid_request", text)
    ask = _asked(message)
    needed = {Right.CONTROL} if ask is None else rights_of(ask)
    for right in sorted(needed, key=lambda one: one.value):
        scopes = SCOPES[right]
        if scopes and held.isdisjoint(scopes):
            raise missing_scopes(scopes)


def _asked(message: RoutableMessage) -> Ask | None:
    """What the car will read in it; `None`: nothing, and it will say so."""
    reader = _READERS.get(int(message.to_destination.domain))
    try:
        return None if reader is None else reader(message.protobuf_message_as_bytes)
    except UndecodableError:
        return None


def _read(text: object) -> tuple[bytes, RoutableMessage]:
    """Raises the 400."""
    if not isinstance(text, str):
        raise ApiError(400, "invalid_request", "routable_message: base64 of a RoutableMessage")
    try:
        data = base64.b64decode(text, validate=True)
        return data, read_message(data)
    except (binascii.Error, ValueError) as error:
        what = str(error) if isinstance(error, MalformedMessageError) else "not base64"
        raise ApiError(400, "invalid_request", f"routable_message: {what}") from error


def _answer(view: CommandView) -> Response[Envelope[str]]:
    if view.state in _HANDLED and view.response:
        return ok(view.response, x_command_id=view.id)
    where = f"command {view.id} is {view.state} {view.reason}".rstrip()
    if view.state is State.REFUSED and view.reason == _UNKNOWN_COMMAND:
        raise ApiError(422, UNSUPPORTED, where, command_id=view.id)
    if view.state in (State.EXPIRED, State.REQUESTED):
        raise offline(where, view.id)
    if view.state in _HANDLED:
        text = "the vehicle's answer was not kept"
        raise ApiError(503, "service unavailable", f"{where}: {text}", command_id=view.id)
    raise ApiError(408, "timeout: no answer from the vehicle yet", where, command_id=view.id)
