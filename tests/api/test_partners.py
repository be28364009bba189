"""An app registers itself in this region: its domain, its key, and what is refused."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.api.domain_keys import KeyFetchError, is_nobodys
from motorcade.registry.people.names import public_point
from motorcade.registry.people.port import App, AppRequest
from tests.api.standins import Platform, running

KEY = ec.derive_private_key(7, ec.SECP256R1()).public_key()
PEM = KEY.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
).decode()
POINT = KEY.public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
).hex()
URL = "/api/1/partner_accounts"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url) as client:
        yield client


def add_person(platform: Platform) -> int:
    return platform.registry.people.add_person("eve@x.org", "Eve", "long enough")[0].id


def add_app(
    platform: Platform, *, domain: str = "", pem: str = "", person_id: int | None = None
) -> dict[str, str]:
    """An app, the operator's or somebody's; the header of its partner token."""
    redirects, scopes = ("https://app.example/callback",), ("vehicle_device_data",)
    asked = AppRequest("Charger", redirects, scopes, "charges", domain, pem)
    app: App = platform.registry.people.add_app(asked, person_id)[0]
    bearer = f"{app.client_id}:openid"
    platform.tokens.clients[bearer] = app.client_id
    return {"Authorization": f"Bearer {bearer}"}


def serving(content: bytes) -> Callable[[str], Awaitable[bytes]]:
    """Every domain has this."""

    async def fetch(_domain: str) -> bytes:
        return content

    return fetch


def test_an_uploaded_key_is_taken(client: httpx.Client, platform: Platform) -> None:
    headers = add_app(platform, domain="app.example", pem=PEM)
    answer = client.post(URL, json={"domain": "app.example"}, headers=headers)
    account = answer.json()["response"]
    assert (account["domain"], account["public_key"]) == ("app.example", POINT)
    assert (account["name"], account["description"]) == ("Charger", "charges")
    asked = client.get(f"{URL}/public_key", params={"domain": "app.example"}, headers=headers)
    assert asked.json() == {"response": {"public_key": POINT}}


def test_without_one_it_comes_from_the_domain(client: httpx.Client, platform: Platform) -> None:
    asked: list[str] = []

    async def fetch(domain: str) -> bytes:
        asked.append(domain)
        return PEM.encode()

    platform.counter.fetch_key = fetch
    answer = client.post(URL, json={"domain": "app.example"}, headers=add_app(platform))
    assert answer.json()["response"]["public_key"] == POINT
    assert asked == ["app.example"]


OTHER_PEM = (
    ec.derive_private_key(8, ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.mark.parametrize("domain", ["", "tesla.com"])
def test_nobody_claims_a_foreign_domain_with_a_key_of_their_own(
    client: httpx.Client, platform: Platform, domain: str
) -> None:
    headers = add_app(platform, domain=domain, pem=PEM, person_id=add_person(platform))
    answer = client.post(URL, json={"domain": "tesla.com"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (424, "Public key download failed")
    platform.counter.fetch_key = serving(OTHER_PEM.encode())
    answer = client.post(URL, json={"domain": "tesla.com"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (422, "public key mismatch")
    assert platform.registry.sharing.registration_of("tesla.com") is None
    platform.counter.fetch_key = serving(PEM.encode())
    answer = client.post(URL, json={"domain": "tesla.com"}, headers=headers)
    assert answer.json()["response"]["public_key"] == POINT


def test_the_operator_vouches_for_domains_that_cannot_be_asked(
    client: httpx.Client, platform: Platform
) -> None:
    """By adding the app with domain and key, or by registering somebody's; else it is asked."""
    headers = add_app(platform, domain="fleet.net", pem=PEM)
    assert client.post(URL, json={"domain": "eu.fleet.net"}, headers=headers).status_code == 200
    unnamed = add_app(platform, pem=OTHER_PEM)
    assert client.post(URL, json={"domain": "eve.net"}, headers=unnamed).status_code == 424
    eves = add_app(platform, pem=OTHER_PEM, person_id=add_person(platform))
    (client_id,) = (app.client_id for app in platform.registry.people.apps() if app.person_id)
    assert client.post(URL, json={"domain": "eve.net"}, headers=eves).status_code == 424
    (own,) = (
        app.client_id
        for app in platform.registry.people.apps_with_key(OTHER_PEM)
        if app.person_id is None
    )
    platform.registry.people.revoke_app(own)
    point = public_point(OTHER_PEM)
    platform.registry.sharing.register(client_id, "eve.net", point)
    answer = client.post(URL, json={"domain": "eve.net"}, headers=eves)
    assert answer.json()["response"]["public_key"] == point
    assert client.post(URL, json={"domain": "other.net"}, headers=eves).status_code == 424


def test_nobody_registers_with_a_key_of_the_operators(
    client: httpx.Client, platform: Platform
) -> None:
    """A key is public; what cars tell about its configurations is for its owner."""
    add_app(platform, domain="fleet.net", pem=PEM)
    eves = add_app(platform, pem=PEM, person_id=add_person(platform))
    answer = client.post(URL, json={"domain": "eve.test"}, headers=eves)
    assert (answer.status_code, answer.json()["error"]) == (422, "public key taken")


@pytest.mark.parametrize("domain", ["fleet.internal", "eu.fleet.internal"])
def test_nobody_takes_a_domain_of_the_operators(
    client: httpx.Client, platform: Platform, domain: str
) -> None:
    """Of a name that nobody owns the operator need not say more than `motorcade app add` does."""
    operators = add_app(platform, domain="fleet.internal", pem=PEM)
    eves = add_app(platform, pem=OTHER_PEM, person_id=add_person(platform))
    answer = client.post(URL, json={"domain": domain}, headers=eves)
    assert (answer.status_code, answer.json()["error"]) == (422, "domain or key taken")
    asked = {"domain": "fleet.internal"}
    answer = client.get(f"{URL}/public_key", params=asked, headers=operators)
    assert answer.json() == {"response": {"public_key": POINT}}
    answer = client.get(f"{URL}/fleet_telemetry_errors", headers=operators)
    assert answer.json() == {"response": {"fleet_telemetry_errors": []}}


@pytest.mark.parametrize(
    ("domain", "nobodys"),
    [
        *(("app.example", True), ("a.b.test", True), ("car.local", True), ("example.com", True)),
        *(("app.home.arpa", True), ("x.internal", True)),
        *(("arpa", False), ("myexample.com", False), ("example.com.evil.net", False)),
        *(("test.net", False), ("mytest", False)),
    ],
)
def test_names_that_nobody_can_own(domain: str, nobodys: bool) -> None:
    assert is_nobodys(domain) is nobodys


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN PUBLIC KEY-----", b"<html>"])
def test_what_is_no_key_is_424(client: httpx.Client, platform: Platform, content: bytes) -> None:
    platform.counter.fetch_key = serving(content)
    answer = client.post(URL, json={"domain": "app.example"}, headers=add_app(platform))
    assert (answer.status_code, answer.json()["error"]) == (424, "Public key download failed")


def test_a_domain_that_does_not_answer_is_424(client: httpx.Client, platform: Platform) -> None:
    async def fetch(domain: str) -> bytes:
        raise KeyFetchError(f"{domain} has no address")

    platform.counter.fetch_key = fetch
    answer = client.post(URL, json={"domain": "app.example"}, headers=add_app(platform))
    assert answer.status_code == 424
    assert answer.json()["error_description"] == "app.example has no address"


@pytest.mark.parametrize("domain", ["https://app.example", "App.example", "localhost", "a b.c", ""])
def test_a_domain_that_is_none_is_400(
    client: httpx.Client, platform: Platform, domain: str
) -> None:
    answer = client.post(URL, json={"domain": domain}, headers=add_app(platform, pem=PEM))
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        f"Invalid domain: {domain}. Ensure that domain is lowercase and starts without https://"
    )


def test_a_domain_is_one_apps(client: httpx.Client, platform: Platform) -> None:
    headers = add_app(platform, domain="app.example", pem=PEM)
    for domain, status in {
        "app.example": 200,
        "eu.app.example": 200,
        "notapp.example": 422,
    }.items():
        answer = client.post(URL, json={"domain": domain}, headers=headers)
        assert answer.status_code == status, domain
    thief = add_app(platform, pem=PEM)
    assert client.post(URL, json={"domain": "eu.app.example"}, headers=thief).status_code == 422


def test_an_app_that_is_not_registered_here_is_412(
    client: httpx.Client, platform: Platform
) -> None:
    headers = add_app(platform, domain="app.example", pem=PEM, person_id=add_person(platform))
    answer = client.get(f"{URL}/public_key", params={"domain": "app.example"}, headers=headers)
    assert answer.status_code == 412
    assert "must be registered in the current region" in answer.json()["error"]
    client.post(URL, json={"domain": "app.example"}, headers=headers)
    other = client.get(f"{URL}/public_key", params={"domain": "no.example"}, headers=headers)
    assert other.status_code == 404
    assert client.get(f"{URL}/public_key", headers=headers).status_code == 400


def test_a_token_of_no_app_registers_nothing(client: httpx.Client) -> None:
    headers = {"Authorization": "Bearer test:openid"}
    answer = client.post(URL, json={"domain": "app.example"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "Expected partner account")


def test_an_app_registers_a_few_times_a_minute(tmp_path: Path) -> None:
    """Each is a look at a domain that the app chose."""
    with running(tmp_path, "rates.registrations_per_minute=2") as platform:
        asked: list[str] = []

        async def fetch(domain: str) -> bytes:
            asked.append(domain)
            raise KeyFetchError("no")

        platform.counter.fetch_key = fetch
        headers, other = add_app(platform), add_app(platform)
        body = {"domain": "app.example"}
        with httpx.Client(base_url=platform.url) as client:
            answers = [client.post(URL, json=body, headers=headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [424, 424, 429]
            assert answers[0].headers["ratelimit-remaining"] == "1"
            assert answers[2].json()["error_description"].endswith("registrations in a minute")
            assert client.post(URL, json=body, headers=other).status_code == 424
        assert len(asked) == 3
