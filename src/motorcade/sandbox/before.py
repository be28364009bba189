"""What stands before every route of the API in a sandbox: worlds' time, and faults."""

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from motorcade.api.counter import Connection, Counter
from motorcade.api.errors import TOKEN_EXPIRED, ApiError, unauthorized
from motorcade.api.stream import deny, offered_bearer
from motorcade.identity.port import AccessToken
from motorcade.sandbox.faults import (
    ISSUER_PATH,
    Asked,
)
from motorcade.sandbox.worlds import Worlds

_VEHICLE: Final = re.compile(r"/api/1/vehicles/([^/]+)")
_VIN_CHARACTERS: Final = 17
BEARER_BYTES_MAX: Final = 8_192  # as of `identity.token_bytes_max`: the API takes no longer ones
CLAIMS_MAX: Final = 1_024  # bearer tokens whose claims are kept
PREFIX: Final = "/sandbox"
SERVED: Final = (ScopeType.HTTP, ScopeType.WEBSOCKET)


def before(worlds: Worlds, counter: Counter) -> Callable[[ASGIApp], ASGIApp]:
    """Middleware: tokens that a world's time has made too old, then faults."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def before(scope: Scope, receive: Receive, send: Send) -> None:
            path = str(scope["path"])
            if scope["type"] in SERVED and not path.startswith(PREFIX):
                connection: Connection = ASGIConnection(scope)
                bearer = connection.headers.get("authorization") or offered_bearer(connection)
                claims = _claims(bearer.encode())
                client_id = str(claims.get("azp", ""))
                if path.startswith(ISSUER_PATH):
                    receive, client_id = await _peek(scope, receive)
                world = worlds.of_client(client_id)
                asked = Asked(
                    method=str(scope.get("method", "GET")),  # a WebSocket's handshake is one
                    path=path,
                    vin=_vin(counter, path),
                    world="" if world is None else world.id,
                    client_id=client_id,
                )
                try:
                    await _obstruct(worlds, asked)
                except ApiError as error:
                    if scope["type"] == ScopeType.HTTP:
                        raise
                    await deny(connection, send, error)
                    return
                if path.startswith(ISSUER_PATH):  # the others ask `counter.lifetimes`
                    _check_age(worlds, claims)
            await app(scope, receive, send)

        return before

    return wrap


def before_calls(
    worlds: Worlds, counter: Counter
) -> Callable[[str, AccessToken, str], Awaitable[None]]:
    """The same before gRPC's calls, as a `Counter.obstacle`."""

    async def obstacle(path: str, access: AccessToken, tag: str) -> None:
        world = worlds.of_client(access.client_id)
        asked = Asked(
            method="POST",  # as gRPC's requests are HTTP/2's
            path=path,
            vin=_vin_of(counter, tag),
            world="" if world is None else world.id,
            client_id=access.client_id,
        )
        await _obstruct(worlds, asked)

    return obstacle


async def _obstruct(worlds: Worlds, asked: Asked) -> None:
    """Do to a request what its faults say. Raises their answer."""
    verdict = worlds.faults.take(asked)
    if verdict.latency_s:
        await asyncio.sleep(verdict.latency_s)
    if verdict.error is not None:
        raise verdict.error


def _check_age(worlds: Worlds, claims: Mapping[str, Any]) -> None:
    """Raises the 401."""
    ends_s, token_id = claims.get("exp"), str(claims.get("jti", ""))
    if type(ends_s) is not int:
        return  # no token of ours: the API will say so
    if worlds.lifetimes.by_world_s(str(claims.get("azp", "")), token_id, ends_s) <= 0:
        raise unauthorized(TOKEN_EXPIRED)


def _claims(authorization: bytes) -> Mapping[str, Any]:
    """What a bearer token says, unchecked: enough to see whose it is."""
    return _read_claims(authorization) if len(authorization) <= BEARER_BYTES_MAX else {}


@lru_cache(maxsize=CLAIMS_MAX)
def _read_claims(authorization: bytes) -> Mapping[str, Any]:
    """Remembered: apps ask often."""
    parts = authorization.split(b".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload)
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


async def _peek(scope: Scope, receive: Receive) -> tuple[Receive, str]:
    """Which app asks an OAuth endpoint, unchecked; and the body once more, for who checks."""
    scheme, _, basic = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"basic":
        with contextlib.suppress(ValueError, binascii.Error):
            return receive, unquote(base64.b64decode(basic).partition(b":")[0].decode())
    first = await receive()
    body = first.get("body", b"") if first["type"] == "http.request" else b""
    assert isinstance(body, bytes)
    told: list[Any] = [first]

    async def again() -> Any:
        return told.pop() if told else await receive()

    fields = parse_qs(body.decode("utf-8", "replace"))
    query = parse_qs(bytes(scope.get("query_string", b"")).decode("utf-8", "replace"))
    return again, (fields.get("client_id") or query.get("client_id") or [""])[0]


def _vin(counter: Counter, path: str) -> str:
    """The vehicle that a path names, by VIN or id; "" for none."""
    found = _VEHICLE.match(path)
    return _vin_of(counter, found.group(1)) if found else ""


def _vin_of(counter: Counter, tag: str) -> str:
    if tag.isascii() and tag.isdigit() and len(tag) < _VIN_CHARACTERS:
        vehicle = counter.registry.vehicle_by_id(int(tag))
        return vehicle.vin if vehicle is not None else ""
    return tag.upper()
