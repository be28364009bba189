"""What `/sandbox/*` is asked, as types and checks: what does not fit is a 400 that says where."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from msgspec import Meta, Struct

from motorcade.api.errors import ApiError
from motorcade.registry.errors import InvalidNameError
from motorcade.registry.people.names import check_public_key
from motorcade.sandbox import known
from motorcade.sandbox.car import SPEED_MAX
from motorcade.sandbox.faults import (
    ANSWERS,
    EUROPE,
    LATENCY_S_MAX,
    RETRY_S_DEFAULT,
)
from motorcade.sandbox.machine import DOINGS
from motorcade.sandbox.worlds import CARS_MAX
from motorcade.vehicle.signed.program import Signing

SEED_MAX: Final = 1 << 31
TIMES_MAX: Final = 1_000_000
RETRY_S_MAX: Final = 86_400
REFUSALS_MAX: Final = 100
Times = Annotated[int, Meta(ge=1, le=TIMES_MAX)] | None  # None: always
BaseUrl = Annotated[str, Meta(pattern=r"\Ahttps?://[!-~]{1,200}\Z")]  # goes into a header


class WorldBody(Struct, forbid_unknown_fields=True):
    """A fresh world."""

    vehicles: int | list[str] = 1  # how many parked ones, or what each of them does
    seed: int | None = None  # None: the sandbox's
    speed: float = 1.0
    signed_commands: str = Signing.SUPPORTED.value


class ResetBody(Struct, forbid_unknown_fields=True):
    """As at the start; of what is not named, as then."""

    vehicles: list[str] | None = None
    seed: int | None = None


class ClockBody(Struct, forbid_unknown_fields=True):
    """How fast a world's time goes, and what is skipped of it."""

    speed: float | None = None
    advance_s: float = 0.0


class RegionBody(Struct, forbid_unknown_fields=True):
    """Where the owner's account lives; without a region: here."""

    region: str | None = None
    base_url: BaseUrl = EUROPE


class CodeBody(Struct, forbid_unknown_fields=True):
    """What a browser would bring back from the consent page."""

    redirect_uri: str = known.REDIRECT_URIS[0]
    scopes: list[str] | None = None
    code_challenge: str = ""
    nonce: str = ""


class FaultBody(Struct, forbid_unknown_fields=True):
    """A rule for requests to come."""

    answer: int = 0
    latency_ms: float = 0.0
    times: Times = 1
    world: str = ""
    vehicle: str = ""
    method: str = ""
    path: str = ""
    retry_s: Annotated[int, Meta(ge=0, le=RETRY_S_MAX)] = RETRY_S_DEFAULT
    base_url: BaseUrl = EUROPE


class RefusalBody(Struct, forbid_unknown_fields=True):
    command: str = "*"
    reason: str = "could_not_wake_buses"
    times: Times = 1


class VehicleBody(Struct, forbid_unknown_fields=True):
    """What is to be different about a car."""

    doing: str | None = None
    battery_percent: float | None = None
    network: str | None = None
    clock_skew_s: float | None = None
    signed_commands: str | None = None
    refuse: Annotated[list[RefusalBody], Meta(max_length=REFUSALS_MAX)] | None = None


class KeyBody(Struct, forbid_unknown_fields=True):
    """A key; none: the app's known one."""

    public_key_pem: str = ""
    role: str = "OWNER"


async def read(request: Request[Any, Any, Any], kind: type[Any]) -> Any:
    """The body as this type; none is an empty one. Raises the 400."""
    check_sender(request)
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ApiError(400, "invalid_field", str(error)) from error


def check_sender(request: Request[Any, Any, Any]) -> None:
    """A page from elsewhere may not send JSON unasked. Raises the 406."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(406, "not_acceptable", "Content-Type must be application/json")


def check_world(count: int, speed: float) -> None:
    """Raises the 400."""
    if not 0 <= count <= CARS_MAX:
        raise ApiError(400, "invalid_field", f"vehicles: at most {CARS_MAX} in one world")
    if not 0 <= speed <= SPEED_MAX:
        raise ApiError(400, "invalid_field", f"speed: 0 to {SPEED_MAX:g}")


def check_doings(doings: list[str]) -> tuple[str, ...]:
    """Raises the 400."""
    for doing in doings:
        if doing not in DOINGS:
            text = f"vehicles: {doing!r}; each does one of {', '.join(DOINGS)}"
            raise ApiError(400, "invalid_field", text)
    return tuple(doings)


def check_seed(seed: int | None, otherwise: int) -> int:
    if seed is None:
        return otherwise
    if not 0 <= seed < SEED_MAX:
        raise ApiError(400, "invalid_field", f"seed: 0 to {SEED_MAX - 1}")
    return seed


def check_signing(word: str) -> str:
    if word not in tuple(Signing):
        raise ApiError(400, "invalid_field", f"signed_commands: one of {', '.join(Signing)}")
    return word


def point_of(pem: str) -> str:
    """The key's point, in hex. Raises the 400."""
    if not pem:
        return known.public_key_hex()
    try:
        return known.point_of(check_public_key(pem))
    except (ValueError, InvalidNameError) as error:
        raise ApiError(400, "invalid_field", f"public_key_pem: {error}") from error


def check_fault(body: FaultBody) -> None:
    """Raises the 400."""
    if body.answer and body.answer not in ANSWERS:
        answers = ", ".join(str(status) for status in ANSWERS)
        raise ApiError(400, "invalid_field", f"answer: one of {answers}, or 0 for the real one")
    if not body.answer and not body.latency_ms:
        raise ApiError(400, "invalid_field", "give an answer, latency_ms, or both")
    if not 0 <= body.latency_ms <= LATENCY_S_MAX * 1e3:
        raise ApiError(400, "invalid_field", f"latency_ms: 0 to {LATENCY_S_MAX * 1e3:g}")
