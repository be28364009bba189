"""The endpoints that apps call: token, revoke, introspect, userinfo, discovery, keys."""

import asyncio
from typing import Any, Final

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.errors import ApiError
from motorcade.api.oauth.desk import NO_STORE, Answer, Desk, refused, user_info
from motorcade.api.oauth.form import FormError, Pairs, read_form
from motorcade.api.oauth.place import ISSUER_PATH, base_url, issuer
from motorcade.identity.scopes import APP_SCOPES
from motorcade.identity.tokens import ALGORITHM

BODY_BYTES_MAX: Final = 64 << 10
KEYS_PATH: Final = f"{ISSUER_PATH}/discovery/thirdparty/keys"  # Tesla's


def desk_of(counter: Counter) -> Desk:
    assert counter.desk is not None  # the composition root gives one
    return counter.desk


@post(f"{ISSUER_PATH}/token", status_code=200)
async def token(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """Exchange a code, a refresh token, or an app's own credentials for tokens (RFC 6749 §3.2)."""
    return await _answer(request, counter, desk_of(counter).token)


@post(f"{ISSUER_PATH}/revoke", status_code=200)
async def revoke(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """End a token (RFC 7009): an access token alone, a refresh token with all that came of it."""
    answer = await _answer(request, counter, desk_of(counter).revoke)
    counter.standing.look()
    return answer


@post(f"{ISSUER_PATH}/introspect", status_code=200)
async def introspect(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """Whether a token of the calling app is good, and for what (RFC 7662)."""
    return await _answer(request, counter, desk_of(counter).introspect)


@get(f"{ISSUER_PATH}/userinfo")
async def userinfo(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """Who granted this token (OpenID Connect Core §5.3); e-mail and name by their scopes."""
    access = counter.allow(request)
    person = await asyncio.to_thread(desk_of(counter).people.person, access.subject)
    if person is None:
        raise ApiError(404, "not_found", "nobody signs in under this token's subject")
    return _json(Answer(200, user_info(person, access.scopes), NO_STORE))


@get(
    [
        f"{ISSUER_PATH}/.well-known/openid-configuration",
        f"/.well-known/oauth-authorization-server{ISSUER_PATH}",
    ]
)
async def discovery(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """Where everything is (OpenID Connect Discovery §3, RFC 8414 §3)."""
    base = base_url(request, counter.config)
    document = {
        "issuer": base + ISSUER_PATH,
        "authorization_endpoint": f"{base}{ISSUER_PATH}/authorize",
        "token_endpoint": f"{base}{ISSUER_PATH}/token",
        "revocation_endpoint": f"{base}{ISSUER_PATH}/revoke",
        "introspection_endpoint": f"{base}{ISSUER_PATH}/introspect",
        "userinfo_endpoint": f"{base}{ISSUER_PATH}/userinfo",
        "jwks_uri": base + KEYS_PATH,
        "scopes_supported": list(APP_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "none",
        ],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["sub", "email", "name", "auth_time", "amr"],
        "prompt_values_supported": ["none", "login", "consent"],
        "authorization_response_iss_parameter_supported": True,
    }
    return _json(Answer(200, document, NO_STORE))


@get(KEYS_PATH)
async def keys(counter: NamedDependency[Counter]) -> Response[bytes]:
    """The keys that verify our tokens (RFC 7517)."""
    return _json(Answer(200, desk_of(counter).tokens.public_keys, NO_STORE))


async def _answer(request: AnyRequest, counter: Counter, endpoint: Any) -> Response[bytes]:
    try:
        pairs = await read_pairs(request)
    except FormError as error:
        return _json(refused(400, "invalid_request", str(error)))
    authorization = request.headers.get("authorization", "")
    caller = issuer(request, counter.config)
    return _json(await asyncio.to_thread(endpoint, pairs, authorization, caller))


async def read_pairs(request: AnyRequest) -> Pairs:
    """The fields of the body. Raises `FormError`."""
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise FormError(f"the body has more than {BODY_BYTES_MAX} bytes")
    return read_form(body, request.headers.get("content-type", ""))


def _json(answer: Answer) -> Response[bytes]:
    return Response(
        msgspec.json.encode(answer.body),
        status_code=answer.status,
        media_type=MediaType.JSON,
        headers=dict(answer.headers),
    )


ROUTES: Final = [token, revoke, introspect, userinfo, discovery, keys]
