"""`/api/1/users/...`: who the caller is, where they live, and the names of their keys."""

import asyncio
import re
from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from msgspec import Struct, field

from motorcade.api.counter import AnyRequest, Counter, read_body, read_text
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, unprocessable
from motorcade.api.shapes import Envelope
from motorcade.identity.region import fleet_base_url, region_name
from motorcade.registry.errors import TooManyError
from motorcade.registry.sharing.port import NamedKey

NAME_CHARACTERS_MAX: Final = 100
_POINT: Final = re.compile(r"04[0-9a-f]{128}")  # uncompressed P-256 (SEC 1 §2.3.3), hex


class Me(Struct, kw_only=True):
    email: str
    full_name: str
    profile_image_url: str | None = None  # nobody uploads one here
    vault_uuid: str  # the account's subject


class Region(Struct):
    region: str
    fleet_api_base_url: str


class Signaling(Struct, kw_only=True):
    enabled: bool = False
    subscribe_connectivity: bool = False
    use_auth_token: bool = False


class FeatureConfig(Struct):
    """Tesla's app asks it whether to open its signalling socket: there is none here."""

    signaling: Signaling = field(default_factory=Signaling)


class BackupKey(Struct, kw_only=True):
    public_key: str
    kind: str
    model: str
    name: str
    tag: str


@get("/api/1/users/me")
async def me(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[Envelope[Me]]:
    """The caller's account. A token of the command line for a subject without one: 404."""
    access = counter.allow(request)
    person = counter.people.person(access.subject) if counter.people is not None else None
    if person is None:
        raise not_found("this token's subject has no account")
    return ok(Me(email=person.email, full_name=person.full_name, vault_uuid=person.subject))


@get("/api/1/users/region")
async def region(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Region]]:
    """Where the caller's account lives. Answered in every region."""
    access = counter.allow(request)
    home = counter.residence.home(access.subject)
    if home is not None:
        return ok(Region(home.region, home.base_url))
    identity = counter.config.identity
    return ok(Region(region_name(identity), fleet_base_url(identity)))


@get("/api/1/users/orders")
async def orders(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[list[str]]]:
    """What the caller has ordered: nothing, because nothing is sold here."""
    counter.allow(request)
    return ok([])


@get("/api/1/users/feature_config")
async def feature_config(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[FeatureConfig]]:
    """Which of Tesla's app's own features there are."""
    counter.allow(request)
    return ok(FeatureConfig())


@get("/api/1/users/backup_key")
async def backup_key(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[BackupKey]]:
    """The public key that the caller named last by `POST users/keys`."""
    access = counter.allow(request)
    keys = counter.sharing.named_keys(access.subject) if counter.sharing is not None else []
    if not keys:
        raise not_found("this account has named no key: POST users/keys")
    key = keys[0]
    return ok(
        BackupKey(
            public_key=key.public_key, kind=key.kind, model=key.model, name=key.name, tag=key.tag
        )
    )


@post("/api/1/users/keys", status_code=200)
async def name_key(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[BackupKey]]:
    """Give one of the caller's public keys a name, as `tesla-control rename-key` does."""
    access = counter.allow(request)
    body = await read_body(request)
    point = read_text(body, "public_key", characters_max=130).lower()
    if not _POINT.fullmatch(point):
        text = "public_key: must be an uncompressed P-256 point in hex, 130 digits from 04"
        raise ApiError(400, "invalid_field", text)
    members = {
        name: read_text(body, name, characters_max=NAME_CHARACTERS_MAX, default="")
        for name in ("kind", "model", "name", "tag")
    }
    assert counter.sharing is not None  # the composition root gives one
    try:
        key = NamedKey(public_key=point, **members)
        await asyncio.to_thread(counter.sharing.name_key, access.subject, key)
    except TooManyError as error:
        raise unprocessable("too many keys", {"public_key": [str(error)]}) from error
    return ok(BackupKey(public_key=point, **members))
