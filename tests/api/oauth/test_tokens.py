"""The token endpoint and its sisters: what apps get, in the shapes their clients read."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from motorcade.identity.tokens import rotate_key
from tests.api.oauth.house import (
    CHALLENGE,
    EMAIL,
    REDIRECT,
    SCOPES,
    START_US,
    VERIFIER,
    Browser,
    House,
    claims,
    housed,
    told,
)

START_S = START_US // 1_000_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with housed(tmp_path_factory.mktemp("house")) as house:
        yield house


def test_a_code_brings_tokens_in_the_shape_that_clients_read(house: House) -> None:
    code = house.code(nonce="n-1")
    assert code.startswith("NA_")
    answer = house.exchange(code, audience="https://fleet-api.prd.na.vn.cloud.tesla.com")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "id_token", "expires_in", "token_type"}
    assert (body["expires_in"], body["token_type"]) == (28_800, "Bearer")
    assert body["refresh_token"].startswith("NA_")
    access = claims(body["access_token"])
    assert access["aud"] == ["https://fleet-api.prd.na.vn.cloud.tesla.com"]
    assert (access["ou_code"], access["sub"], access["scp"]) == ("NA", "owner", list(SCOPES))
    assert (access["exp"], access["azp"]) == (START_S + 28_800, house.app.client_id)


def test_the_published_keys_verify_the_id_token(house: House) -> None:
    with Browser(house) as browser:
        browser.sign_in(nonce="n-2")
        code = browser.allow()["code"]
    body = house.exchange(code).json()
    discovery = httpx.get(f"{house.url}/oauth2/v3/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(httpx.get(discovery["jwks_uri"]).json())
    for name in ("id_token", "access_token"):
        token = jwt.decode(body[name], keys, algorithms=["ES256"])
        assert "d" not in httpx.get(discovery["jwks_uri"]).json()["keys"][0]
    identity = jwt.decode(body["id_token"], keys, algorithms=["ES256"]).claims
    assert token.header["kid"] == keys.keys[0].kid
    assert identity == {
        "iss": discovery["issuer"],
        "sub": "owner",
        "aud": house.app.client_id,
        "iat": START_S,
        "exp": START_S + 28_800,
        "auth_time": START_S,
        "amr": ["pwd"],
        "nonce": "n-2",
        "email": EMAIL,
    }


def test_discovery_names_what_is_there(house: House) -> None:
    one = httpx.get(f"{house.url}/oauth2/v3/.well-known/openid-configuration")
    other = httpx.get(f"{house.url}/.well-known/oauth-authorization-server/oauth2/v3")
    assert one.json() == other.json()
    document = one.json()
    assert document["issuer"] == f"{house.url}/oauth2/v3"
    assert document["code_challenge_methods_supported"] == ["S256"]
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert url.startswith(house.url)
            assert httpx.get(url).status_code in (200, 400, 401, 405)
    bad = httpx.get(
        f"{house.url}/oauth2/v3/.well-known/openid-configuration", headers={"Host": "a b"}
    )
    assert bad.status_code == 400


def test_the_access_token_opens_what_was_granted_and_nothing_else(house: House) -> None:
    body = house.signed_in(granted=("vehicle_charging_cmds",))
    assert body["scope"] == "vehicle_charging_cmds"
    assert "refresh_token" not in body
    assert "id_token" not in body
    answer = house.get("/api/1/vehicles", body["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (
        403,
        "Unauthorized missing scopes vehicle_device_data",
    )
    body = house.signed_in()
    answer = house.get("/api/1/vehicles", body["access_token"])
    assert answer.status_code == 200
    assert len(answer.json()["response"]) == 1


def test_refreshing_works_as_teslas_clients_do_it(house: House) -> None:
    body = house.signed_in()
    # Without the secret, and with TeslaMate's scope and JSON.
    answer = httpx.post(
        f"{house.url}/oauth2/v3/token",
        json={
            "grant_type": "refresh_token",
            "client_id": house.app.client_id,
            "refresh_token": body["refresh_token"],
            "scope": "openid email offline_access",
        },
    )
    assert answer.status_code == 200
    again = answer.json()
    assert claims(again["access_token"])["scp"] == list(SCOPES)
    assert again["scope"] == " ".join(SCOPES)
    assert again["refresh_token"].startswith("NA_")
    assert again["refresh_token"] != body["refresh_token"]
    assert house.refresh(again["refresh_token"]).status_code == 200


def test_an_access_token_in_the_header_does_not_hinder_refreshing(house: House) -> None:
    """Clients with default headers send it with every request."""
    body = house.signed_in()
    fields = {"grant_type": "refresh_token", "client_id": house.app.client_id}
    answer = httpx.post(
        f"{house.url}/oauth2/v3/token",
        data={**fields, "refresh_token": body["refresh_token"]},
        headers={"Authorization": f"Bearer {body['access_token']}"},
    )
    assert answer.status_code == 200, answer.text


def test_a_spent_refresh_token_is_told_in_teslas_words(house: House) -> None:
    first = house.signed_in()["refresh_token"]
    second = house.refresh(first).json()["refresh_token"]
    house.refresh(second)
    answer = house.refresh(first)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "login_required",
        "error_description": "The refresh_token is invalid",
    }


def test_a_partner_token_is_the_apps_own(house: House) -> None:
    app, secret = house.add_app(scopes=(*SCOPES, "vehicle_specs"))
    house_answer = house.token(
        grant_type="client_credentials", client_id=app.client_id, client_secret=secret
    )
    assert house_answer.status_code == 200
    body = house_answer.json()
    assert "refresh_token" not in body
    access = claims(body["access_token"])
    assert access["sub"] == access["azp"] == app.client_id
    assert access["gty"] == "client-credentials"
    assert access["scp"] == [
        "vehicle_device_data",
        "vehicle_location",
        "vehicle_charging_cmds",
        "vehicle_specs",
    ]
    answer = house.get("/api/1/vehicles", body["access_token"])
    assert answer.status_code == 403


def test_credentials_by_header_work_too(house: House) -> None:
    answer = httpx.post(
        f"{house.url}/oauth2/v3/token",
        data={"grant_type": "client_credentials", "scope": "vehicle_device_data"},
        auth=(house.app.client_id, house.secret),
    )
    assert answer.status_code == 200
    assert claims(answer.json()["access_token"])["scp"] == ["vehicle_device_data"]


def test_pkce_with_s256(house: House) -> None:
    code = house.code(code_challenge=CHALLENGE.decode(), code_challenge_method="S256")
    assert house.exchange(code, code_verifier=VERIFIER).status_code == 200


def test_userinfo_tells_by_scope(house: House) -> None:
    all_of_it = house.signed_in()["access_token"]
    assert house.get("/oauth2/v3/userinfo", all_of_it).json() == {"sub": "owner", "email": EMAIL}
    little = house.signed_in(granted=("openid",))["access_token"]
    assert house.get("/oauth2/v3/userinfo", little).json() == {"sub": "owner"}
    none = house.signed_in(granted=("vehicle_device_data",))["access_token"]
    assert house.get("/oauth2/v3/userinfo", none).status_code == 403


def own(house: House, endpoint: str, **fields: Any) -> httpx.Response:
    sent = {"client_id": house.app.client_id, "client_secret": house.secret, **fields}
    return httpx.post(f"{house.url}/oauth2/v3/{endpoint}", data=sent)


def test_introspection_tells_an_app_of_its_own_tokens(house: House) -> None:
    body = house.signed_in()
    access = own(house, "introspect", token=body["access_token"]).json()
    assert access["active"] is True
    assert set(access["scope"].split()) == set(SCOPES)
    assert (access["sub"], access["client_id"]) == ("owner", house.app.client_id)
    assert access["exp"] == START_S + 28_800
    assert own(house, "introspect", token=body["refresh_token"]).json()["active"] is True
    app, secret = house.add_app()
    other = {"client_id": app.client_id, "client_secret": secret}
    for token in (body["access_token"], body["refresh_token"], "NA_x", "", body["id_token"]):
        answer = own(house, "introspect", token=token, **other)
        assert answer.json() == {"active": False}
    assert own(house, "introspect", token="x", client_secret="wrong").status_code == 401


def test_a_revoked_access_token_goes_alone(house: House) -> None:
    body = house.signed_in()
    assert own(house, "revoke", token=body["access_token"]).status_code == 200
    answer = house.get("/api/1/vehicles", body["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "login_required")
    assert own(house, "introspect", token=body["access_token"]).json() == {"active": False}
    fresh = house.refresh(body["refresh_token"]).json()
    assert house.get("/api/1/vehicles", fresh["access_token"]).status_code == 200


def test_a_revoked_refresh_token_takes_its_session_along(house: House) -> None:
    body, other = house.signed_in(), house.signed_in()
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 200
    assert own(house, "revoke", token=body["refresh_token"]).status_code == 200
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 401
    assert house.refresh(body["refresh_token"]).status_code == 401
    assert house.get("/api/1/vehicles", other["access_token"]).status_code == 200


def test_revoking_what_is_not_there_is_no_error(house: House) -> None:
    assert own(house, "revoke", token="NA_nothing").status_code == 200
    assert own(house, "revoke").status_code == 400


def test_another_processs_revocation_works_at_the_next_request(house: House) -> None:
    body = house.signed_in()
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 200
    other = house.open_registry()
    other.people.revoke_grant(house.ann.id, house.app.client_id)
    other.close()
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 401


def test_the_command_lines_tokens_need_no_grant(house: House) -> None:
    token = house.tokens.mint("owner", ["vehicle_device_data"], ttl_s=60, client_id="motorcade-cli")
    assert house.get("/api/1/vehicles", token).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "NA_x"}, 400, "invalid_auth_code"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 401, "login_required"),
        ({"grant_type": "client_credentials", "scope": "root"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "vehicle_cmds"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "openid"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_secret": None}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 400, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": 'q"\\é\x00'}, 400, "invalid_client"),
        ({"grant_type": "authorization_code", "code": "x" * 9_000}, 400, "invalid_request"),
    ],
)
def test_wrong_requests_are_told(
    house: House, fields: dict[str, Any], status: int, error: str
) -> None:
    answer = house.token(**fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(200)), "application/x-www-form-urlencoded"),
        (b"x" * 100_000, "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b'{"a":{}}', "application/json"),
        (b"[" * 50_000, "application/json"),
        (b'{"grant_type":"\\ud800"}', "application/json"),
        (b"grant_type=x", "text/plain"),
    ],
)
def test_bodies_that_cannot_be_are_told(house: House, body: bytes, kind: str) -> None:
    answer = httpx.post(
        f"{house.url}/oauth2/v3/token", content=body, headers={"Content-Type": kind}
    )
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "unsupported_grant_type")


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic /w==", "Basic Og==", "Bearer x"])
def test_odd_credentials_are_told(house: House, header: str) -> None:
    answer = httpx.post(
        f"{house.url}/oauth2/v3/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": header},
    )
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] in ("invalid_client", "invalid_request")


def test_a_public_app_signs_in_by_pkce_alone(house: House) -> None:
    app, _ = house.add_app(
        client_id="ownerapi", redirect_uris=("tesla://auth/callback",), confidential=False
    )
    asked: dict[str, Any] = {"client_id": app.client_id, "redirect_uri": "tesla://auth/callback"}
    with Browser(house) as browser:
        assert told(browser.open(**asked))["error"] == "invalid_request"
        asked |= {"code_challenge": CHALLENGE.decode(), "code_challenge_method": "S256"}
        browser.sign_in(**asked)
        code = browser.allow()["code"]
    public = {"client_id": "ownerapi", "client_secret": None}
    public["redirect_uri"] = "tesla://auth/callback"
    assert house.exchange(code, **public).status_code == 400
    answer = house.exchange(code, code_verifier=VERIFIER, **public)
    assert answer.status_code == 200
    assert house.refresh(answer.json()["refresh_token"], **public).status_code == 200
    partner = house.token(grant_type="client_credentials", client_id="ownerapi", client_secret=None)
    assert partner.status_code == 401


def test_another_region_marks_codes_and_tokens(tmp_path: Path) -> None:
    settings = ("identity.region=eu", "identity.public_url=https://fleet.example")
    with housed(tmp_path, *settings) as house:
        body = house.signed_in()
        assert body["refresh_token"].startswith("EU_")
        access = claims(body["access_token"])
        assert (access["aud"], access["ou_code"]) == (["https://fleet.example"], "EU")
        assert claims(body["id_token"])["iss"] == "https://fleet.example/oauth2/v3"
        document = httpx.get(f"{house.url}/oauth2/v3/.well-known/openid-configuration").json()
        assert document["token_endpoint"] == "https://fleet.example/oauth2/v3/token"


def test_tokens_decode_with_the_standard_alphabet(house: House) -> None:
    for _ in range(20):
        token = house.token(grant_type="client_credentials").json()["access_token"]
        payload = token.split(".")[1]
        assert base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)


def test_the_redirect_uri_is_asked_for_again(house: House) -> None:
    code = house.code()
    for wrong in (None, REDIRECT + "/", "https://evil.example/"):
        answer = house.exchange(code, redirect_uri=wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_url")
    assert house.exchange(code).status_code == 200


def test_a_forgotten_key_ends_access_tokens_and_no_refresh_token(tmp_path: Path) -> None:
    """A leaked signing key makes no refresh tokens: nobody need sign in again."""
    with housed(tmp_path) as house:
        body = house.signed_in()
        rotate_key(house.authority, forget=True)
        assert house.get("/api/1/vehicles", body["access_token"]).status_code == 401
        answer = house.refresh(body["refresh_token"])
        assert answer.status_code == 200
        assert house.get("/api/1/vehicles", answer.json()["access_token"]).status_code == 200
