"""An app registers itself in this region: its domain, its key, and what is refused."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.api import domain_keys
from motorcade.api.domain_keys import KeyFetchError, fetch_key, is_nobodys, is_public
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

    def fetch(domain: str) -> bytes:
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
    platform.counter.fetch_key = lambda domain: OTHER_PEM.encode()
    answer = client.post(URL, json={"domain": "tesla.com"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (422, "public key mismatch")
    assert platform.registry.sharing.registration_of("tesla.com") is None
    platform.counter.fetch_key = lambda domain: PEM.encode()
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
    platform.counter.fetch_key = lambda domain: content
    answer = client.post(URL, json={"domain": "app.example"}, headers=add_app(platform))
    assert (answer.status_code, answer.json()["error"]) == (424, "Public key download failed")


def test_a_domain_that_does_not_answer_is_424(client: httpx.Client, platform: Platform) -> None:
    def fetch(domain: str) -> bytes:
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
    headers = add_app(platform, domain="app.example", pem=PEM)
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


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1%lo", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1", "ff02::1"),
    ],
)
def test_no_request_goes_to_addresses_of_ones_own(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_public(address)
    found = [(0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(domain_keys.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(KeyFetchError, match="no public address"):
        fetch_key("app.example", timeout_s=0.1)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_a_domain_without_address_says_so() -> None:
    with pytest.raises(KeyFetchError, match="has no address"):
        fetch_key("no-such-host.invalid", timeout_s=0.1)
