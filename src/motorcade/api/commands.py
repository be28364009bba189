"""`POST command/{name}` and the timelines of commands.

A POST answers at the command's final state, at latest after `commands.response_s_max`: then 408
with the command's id. The id is in the header `x-command-id` of every answer that has a command.
"""

from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter, check_right, read_body, read_whole, require
from motorcade.api.envelope import ok
from motorcade.api.errors import SIGNING_REQUIRED, ApiError, not_found, offline, retry_later
from motorcade.api.presence import ASLEEP, presence_now
from motorcade.api.shapes import CommandResult, CommandShown, Envelope, shown
from motorcade.commands.errors import (
    CommandError,
    IdempotencyMismatchError,
    InvalidParameterError,
    RouterBusyError,
    RouterFullError,
    TooManyCommandsError,
    UnknownCommandError,
)
from motorcade.commands.port import CommandView, Request
from motorcade.commands.states import State
from motorcade.commands.table import WAKE_UP, CommandRow, read_parameters, row_of
from motorcade.identity.port import AccessToken
from motorcade.registry.audit.port import What
from motorcade.registry.port import Vehicle
from motorcade.wire.command.errors import CommandCodecError

KEY_CHARACTERS_MAX: Final = 64
WAKE_HEADER: Final = "X-Command-Wake"
ASLEEP_REASON: Final = "vehicle_is_asleep"  # a car's refusal; `vehicle/actions/action.py`
FULL_RETRY_S: Final = 30
RECENT_DEFAULT: Final = 20
RECENT_MAX: Final = 200


@post("/api/1/vehicles/{tag:str}/command/{name:str}", status_code=200)
async def send_command(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str], name: FromPath[str]
) -> Response[Envelope[CommandResult]]:
    """Send a command and wait for its end."""
    begun_us = counter.clock.now_us()
    access = counter.access(request)
    try:
        row = row_of(name)
        require(access, *row.scopes)  # first: its 403 names the scopes that would do
        check_right(request, access)
        vehicle = (counter.owned if row.owners else counter.vehicle)(access, tag)
        counter.count(request, access, vehicle)
        check_unsigned(counter, vehicle, row)
        parameters = read_parameters(row, await read_body(request))
        key, expires_s = read_headers(request, counter)
    except CommandError as error:
        raise refused(error) from error
    wake = _read_wake(request)
    if not wake and name != WAKE_UP:
        check_awake(counter, vehicle, f"send the header {WAKE_HEADER}: true")
    asked = Request(vehicle.token, name, parameters, access.subject, key, expires_s, wake)
    view = await carry_out(counter, access, asked)
    counter.answered(view.id, begun_us, "http")
    return _answer(view)


@get("/api/1/vehicles/{tag:str}/commands/{command_id:str}")
async def show_command(
    request: AnyRequest,
    counter: NamedDependency[Counter],
    tag: FromPath[str],
    command_id: FromPath[str],
) -> Response[Envelope[CommandShown]]:
    """A command's timeline."""
    access, vehicle = counter.admit(request, tag)
    view = counter.commands.find(command_id)
    if view is None or view.vehicle != vehicle.token:
        raise not_found("no such command of this vehicle, or older than the ledger reaches")
    return ok(shown(view, counter.sight(access, vehicle).unjudged(access.scopes)))


@get("/api/1/vehicles/{tag:str}/commands")
async def list_commands(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[list[CommandShown]]]:
    """The vehicle's last commands, newest first."""
    access, vehicle = counter.admit(request, tag)
    count = request.query_params.get("count")
    limit = read_whole(count, "count", RECENT_DEFAULT, 1, RECENT_MAX)
    scopes = counter.sight(access, vehicle).unjudged(access.scopes)
    return ok([shown(view, scopes) for view in counter.commands.recent(vehicle.token, limit)])


def check_unsigned(counter: Counter, vehicle: Vehicle, row: CommandRow) -> None:
    """Whether the car takes this command from anybody but a paired key. Raises the 403."""
    if row.rest_only or row.name == WAKE_UP:
        return
    state = counter.signing_of(vehicle)
    if state is not None and state.required:
        raise ApiError(403, SIGNING_REQUIRED, "send it by signed_command, signed by a paired key")


def check_awake(counter: Counter, vehicle: Vehicle, waking: str) -> None:
    """Raises the 408 of a vehicle that is connected and sleeps; `waking` says how to wake it along.
    One that is offline is not asked for: its command waits for it until it expires."""
    if presence_now(counter.state, vehicle.token) == ASLEEP:
        raise offline(f"asleep: POST wake_up first, or {waking}")


async def carry_out(counter: Counter, access: AccessToken, asked: Request) -> CommandView:
    """Submit a command and wait for its end, at most `commands.response_s_max`; audited.

    Raises:
        ApiError: it was not taken; what was taken has a view, whatever its state.
    """
    try:
        view = await counter.commands.submit(asked)
    except (CommandError, CommandCodecError) as error:
        raise refused(error) from error
    try:
        view = await counter.commands.settle(view.id, counter.config.commands.response_s_max)
    except RouterBusyError as error:  # the server stops: the command itself goes on
        raise ApiError(503, "service unavailable", str(error), command_id=view.id) from error
    finally:
        note_command(counter, access, asked, view)
    return view


def note_command(counter: Counter, access: AccessToken, asked: Request, view: CommandView) -> None:
    """For the audit: who sent it, and how far it came."""
    text = f"{asked.name}: {view.reason}" if view.reason else asked.name
    what, outcome = What.SENT_COMMAND, view.state.value
    counter.audit.note(access, what, text, vehicle=asked.vehicle, outcome=outcome)


def _read_wake(request: AnyRequest) -> bool:
    """Whether a sleeping vehicle is to be woken first. Raises the 400."""
    wake = request.headers.get(WAKE_HEADER.lower(), "false").lower()
    if wake not in ("true", "false"):
        raise ApiError(400, "invalid_field", f"{WAKE_HEADER}: must be true or false")
    return wake == "true"


def read_headers(request: AnyRequest, counter: Counter) -> tuple[str, int]:
    """The caller's idempotency key, "" for none, and the expiry in s. Raises the 400."""
    limits = counter.config.commands
    key = request.headers.get("idempotency-key", "")
    if "idempotency-key" in request.headers:
        check_key(key, "Idempotency-Key")
    expires_s = read_whole(
        request.headers.get("x-command-expires-s"),
        "X-Command-Expires-S",
        limits.expires_s_default,
        1,
        limits.expires_s_max,
    )
    return key, expires_s


def check_key(key: str, name: str) -> None:
    """Whether this may be an idempotency key. Raises the 400, which names it `name`."""
    visible = all("!" <= character <= "~" for character in key)
    if not (visible and 1 <= len(key) <= KEY_CHARACTERS_MAX):
        text = f"{name}: 1 to {KEY_CHARACTERS_MAX} visible ASCII characters"
        raise ApiError(400, "invalid_field", text)


def refused(error: Exception) -> ApiError:
    """A refusal before there is a command, as the caller sees it."""
    if isinstance(error, UnknownCommandError):
        return ApiError(400, "invalid_command", str(error))
    if isinstance(error, InvalidParameterError):
        return ApiError(400, "invalid_field", str(error))
    if isinstance(error, IdempotencyMismatchError):
        messages = {"Idempotency-Key": [str(error)]}
        return ApiError(422, "idempotency key mismatch", str(error), messages=messages)
    if isinstance(error, TooManyCommandsError):
        return retry_later(error.retry_s, str(error))
    if isinstance(error, RouterBusyError):
        return ApiError(503, "service unavailable", str(error), headers={"Retry-After": "1"})
    if isinstance(error, RouterFullError):
        headers = {"Retry-After": str(FULL_RETRY_S)}
        return ApiError(507, "insufficient storage", str(error), headers=headers)
    return ApiError(400, "invalid_request", str(error))


def _answer(view: CommandView) -> Response[Envelope[CommandResult]]:
    if view.state is State.EXECUTED or view.state is State.REFUSED:
        if view.reason == ASLEEP_REASON:  # it fell asleep while the command was on its way
            raise offline(f"asleep; command {view.id} was not carried out", view.id)
        result = CommandResult(view.state is State.EXECUTED, view.reason)
        return ok(result, x_command_id=view.id)
    where = f"command {view.id} is {view.state}; its timeline tells how it ends"
    if view.state is State.EXPIRED or view.state is State.REQUESTED:
        raise offline(where, view.id)
    raise ApiError(408, "timeout: no answer from the vehicle yet", where, command_id=view.id)
