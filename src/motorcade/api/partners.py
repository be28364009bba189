"""`/api/1/partner_accounts`: an app registers itself in this region, with a partner token."""

import asyncio
import re
from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from msgspec import Struct

from motorcade import zones
from motorcade.api.counter import AnyRequest, Counter, read_body, read_text
from motorcade.api.domain_keys import KeyFetchError, is_nobodys
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, unprocessable, unregistered
from motorcade.api.shapes import Envelope
from motorcade.identity.port import AccessToken
from motorcade.identity.region import fleet_base_url
from motorcade.registry.errors import AlreadyExistsError, InvalidNameError
from motorcade.registry.people.names import check_public_key, public_point
from motorcade.registry.people.port import App
from motorcade.registry.sharing.port import Registration

DOMAIN_CHARACTERS_MAX: Final = 253
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


class PartnerAccount(Struct, kw_only=True):
    """An app in this region. What we have no use for has Tesla's null."""

    account_id: str
    client_id: str
    name: str
    description: str
    domain: str
    public_key: str  # the uncompressed point, hex: Home Assistant compares it with its own
    created_at: str
    updated_at: str
    enterprise_tier: str = "free"
    issuer: str | None = None
    ca: str | None = None
    csr: str | None = None
    csr_updated_at: str | None = None


class PublicKey(Struct):
    public_key: str  # the uncompressed point, hex


@post("/api/1/partner_accounts", status_code=200)
async def register(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[PartnerAccount]]:
    """Register the app with a domain, whose key is fetched from it (424).

    An uploaded key must be the same (422). It is taken unasked where the operator named the domain,
    and for names that nobody on the internet can own, such as `.test` or `.local`.
    """
    access = counter.allow(request)
    app = _app(counter, access.client_id)
    counter.count_app(request, access)
    domain = read_text(await read_body(request), "domain", characters_max=DOMAIN_CHARACTERS_MAX)
    if not _DOMAIN.fullmatch(domain):
        text = "Ensure that domain is lowercase and starts without https://"
        raise ApiError(400, f"Invalid domain: {domain[:80]}. {text}")
    if app.domain and domain != app.domain and not domain.endswith(f".{app.domain}"):
        raise unprocessable("domain mismatch", {"domain": [f"this app's domain is {app.domain}"]})
    pem = await _key_pem(counter, app, domain)
    point = public_point(pem)
    if app.person_id is not None and _is_operators(counter, pem):
        raise unprocessable("public key taken", {"public_key": ["it is an app's of the operator"]})
    assert counter.sharing is not None  # the composition root gives one
    try:
        row = await asyncio.to_thread(counter.sharing.register, app.client_id, domain, point)
    except AlreadyExistsError as error:
        raise unprocessable("domain or key taken", {"domain": [str(error)]}) from error
    counter.residence.forget()
    return ok(_shown(app, row))


@get("/api/1/partner_accounts/public_key")
async def public_key(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[PublicKey]]:
    """The key that a domain is registered with. The caller must be registered (412)."""
    access = counter.allow(request)
    _registered(counter, access.client_id)
    domain = request.query_params.get("domain", "")
    if not domain:
        raise ApiError(400, "invalid_field", "domain: missing")
    assert counter.sharing is not None
    row = counter.sharing.registration_of(domain)
    if row is None:
        raise not_found("no app is registered with this domain in this region")
    return ok(PublicKey(row.public_key))


def _app(counter: Counter, client_id: str) -> App:
    app = counter.people.app(client_id) if counter.people is not None else None
    if app is None:
        raise ApiError(403, "Expected partner account", "no app has this token's client id")
    return app


def _registered(counter: Counter, client_id: str) -> Registration:
    """The caller's registration. Raises the 412."""
    row = counter.sharing.registration(client_id) if counter.sharing is not None else None
    if row is None:
        raise unregistered(client_id, fleet_base_url(counter.config.identity))
    return row


def point_of(counter: Counter, access: AccessToken) -> str:
    """The calling app's public key, uncompressed point in hex; "" when none is known."""
    row = counter.sharing.registration(access.client_id) if counter.sharing is not None else None
    if row is not None:
        return row.public_key
    app = counter.people.app(access.client_id) if counter.people is not None else None
    return public_point(app.public_key_pem) if app is not None and app.public_key_pem else ""


async def _key_pem(counter: Counter, app: App, domain: str) -> str:
    """What the domain is registered with. Raises the 422 and 424.

    A key is public, and whoever registers an app names any domain: only the domain itself, or the
    operator, can say that both belong together.
    """
    if app.public_key_pem and (_is_vouched_for(counter, app, domain) or is_nobodys(domain)):
        return app.public_key_pem
    try:
        content = await counter.fetch_key(domain)
        pem = check_public_key(content.decode("utf-8", "replace"))
    except (KeyFetchError, InvalidNameError) as error:
        raise ApiError(424, "Public key download failed", str(error)) from error
    if not pem:
        raise ApiError(424, "Public key download failed", f"{domain} has an empty key")
    if app.public_key_pem and pem != app.public_key_pem:
        text = f"{domain} serves another key than the one uploaded for this app"
        raise unprocessable("public key mismatch", {"public_key": [text]})
    return pem


def _is_vouched_for(counter: Counter, app: App, domain: str) -> bool:
    """The operator named app, domain and key, or registered them (`motorcade app register`)."""
    if app.person_id is None and app.domain:  # the domain is that one or below it
        return True
    row = counter.sharing.registration(app.client_id) if counter.sharing is not None else None
    key = public_point(app.public_key_pem)
    return row is not None and (row.domain, row.public_key) == (domain, key)


def _is_operators(counter: Counter, pem: str) -> bool:
    """Whether an app of `motorcade app add` has this key, which it need not register."""
    assert counter.people is not None  # the caller's app is of it
    return any(app.person_id is None for app in counter.people.apps_with_key(pem))


def _shown(app: App, row: Registration) -> PartnerAccount:
    return PartnerAccount(
        account_id=app.client_id,
        client_id=app.client_id,
        name=app.name,
        description=app.purpose,
        domain=row.domain,
        public_key=row.public_key,
        created_at=zones.shown(app.added_time_us),
        updated_at=zones.shown(row.registered_time_us),
    )
