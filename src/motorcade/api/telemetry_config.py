"""`POST fleet_telemetry_config_jws`: a signed configuration for vehicles, carried to them.

The platform checks what it can (signature, form, that the signer's key is paired); the car checks
the same token again, because it obeys its key list and nobody's word.
"""

import asyncio
from typing import Any, Final

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from msgspec import Struct, field

from motorcade.api.counter import AnyRequest, Counter, read_body
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError
from motorcade.api.listing import by_turns, note_each
from motorcade.api.shapes import Envelope
from motorcade.identity.port import AccessToken
from motorcade.registry.errors import NotFoundError
from motorcade.registry.port import Vehicle
from motorcade.wire.tesla_command.errors import InvalidTokenError
from motorcade.wire.tesla_command.jws import SignedClaims, verify_token
from motorcade.wire.tesla_command.telemetry_config import InvalidConfigError, read_settings

VINS_MAX: Final = 1_000  # in one request
LOOKUPS_PER_TURN: Final = 16  # of the registry: up to 1 ms


class Skipped(Struct):
    """Vehicles that were left as they are, by why."""

    missing_key: list[str] = field(default_factory=list)  # the signer's key is not paired
    unsupported_hardware: list[str] = field(default_factory=list)
    unsupported_firmware: list[str] = field(default_factory=list)  # no signed commands
    max_configs: list[str] = field(default_factory=list)


class Updated(Struct):
    """What became of the request."""

    updated_vehicles: int
    skipped_vehicles: Skipped


@post("/api/1/vehicles/fleet_telemetry_config_jws", status_code=200)
async def configure_telemetry(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Updated]]:
    """Set what vehicles stream, at which pace, and to which host."""
    access = counter.allow(request)
    body = await read_body(request)
    vehicles = await _vehicles(counter, access, body.get("vins"))
    signed = _read(body.get("token"), counter.clock.now_us() // 1_000_000)
    await note_each(request, counter, access, vehicles)
    config = msgspec.json.encode(signed.claims).decode()
    skipped = Skipped()
    chosen = []
    async for vehicle in by_turns(vehicles, LOOKUPS_PER_TURN):
        state = counter.signing_of(vehicle)
        if state is None or not state.supported:
            skipped.unsupported_firmware.append(vehicle.vin)
        elif not state.has(signed.public_key.hex()):
            skipped.missing_key.append(vehicle.vin)
        else:
            chosen.append(vehicle)
    row = (body["token"], config, signed.public_key.hex(), access.client_id)
    await asyncio.to_thread(_store, counter, chosen, *row)
    return ok(Updated(len(chosen), skipped))


def _store(
    counter: Counter, vehicles: list[Vehicle], token: str, config: str, issuer: str, client_id: str
) -> None:
    assert counter.signing is not None  # or no state would have named a key
    for vehicle in vehicles:
        try:
            counter.signing.configure(vehicle.id, token, config, issuer, client_id)
        except NotFoundError:
            continue  # removed meanwhile


async def _vehicles(counter: Counter, access: AccessToken, vins: Any) -> list[Vehicle]:
    """The caller's vehicles. Raises the 400 and the 404."""
    good = isinstance(vins, list) and 1 <= len(vins) <= VINS_MAX
    if not good or not all(isinstance(vin, str) for vin in vins):
        raise ApiError(400, "invalid_field", f"vins: a list of 1 to {VINS_MAX} VINs")
    turns = by_turns(dict.fromkeys(vins), LOOKUPS_PER_TURN)
    return [counter.owned(access, vin) async for vin in turns]


def _read(token: Any, now_s: int) -> SignedClaims:
    """Raises the 400."""
    if not isinstance(token, str):
        raise ApiError(400, "invalid_field", "token: a JWS, signed with Tesla.SS256")
    try:
        signed = verify_token(token)
        settings = read_settings(signed.claims)
    except (InvalidTokenError, InvalidConfigError) as error:
        raise ApiError(400, "invalid_field", f"token: {error}") from error
    if settings.expires_s is not None and settings.expires_s <= now_s:
        raise ApiError(400, "invalid_field", "token: exp is over")
    return signed
