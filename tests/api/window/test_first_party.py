"""The page signs people in without asking whether they trust it, and to its own origin alone."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.api.oauth.first_party import add_page
from motorcade.identity.port import PAGE_CLIENT
from tests.api.oauth.house import CHALLENGE, EMAIL, PASSWORD, VERIFIER, Browser, House, claims, told
from tests.api.oauth.house import housed as opened

SCOPE = "openid offline_access vehicle_device_data vehicle_location vehicle_cmds"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path) as house:
        add_page(house.people)
        add_page(house.people)  # each start does
        yield house


def wish(house: House, origin: str = "") -> dict[str, str]:
    return {
        "client_id": PAGE_CLIENT,
        "redirect_uri": f"{origin or house.url}/signed-in",
        "scope": SCOPE,
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
    }


def test_after_the_password_comes_the_code_and_nothing_between(house: House) -> None:
    with Browser(house) as browser:
        answer = browser.sign_in(**wish(house))
        assert answer.headers["location"].startswith(f"{house.url}/signed-in?")
        code = told(answer)["code"]
        again = told(browser.open(**wish(house)))  # signed in: at once
    fields = {"client_secret": None, "client_id": PAGE_CLIENT, "code_verifier": VERIFIER}
    uri = f"{house.url}/signed-in"
    answer = house.exchange(code, redirect_uri=uri, **fields)
    assert answer.status_code == 200, answer.text
    said = claims(answer.json()["access_token"])
    assert (said["sub"], said["azp"]) == ("owner", PAGE_CLIENT)
    assert set(said["scp"]) == set(SCOPE.split())
    assert again["code"] != code
    next_one = house.refresh(
        answer.json()["refresh_token"], client_secret=None, client_id=PAGE_CLIENT
    )
    assert next_one.json()["refresh_token"] != answer.json()["refresh_token"]


def test_the_verifier_is_wanted(house: House) -> None:
    with Browser(house) as browser:
        code = told(browser.sign_in(**wish(house)))["code"]
    digest = hashlib.sha256(b"w" * 43).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=") != CHALLENGE
    uri = f"{house.url}/signed-in"
    fields = {"client_secret": None, "client_id": PAGE_CLIENT, "redirect_uri": uri}
    assert house.exchange(code, code_verifier="w" * 43, **fields).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/signed-in",
        "http://127.0.0.1:1/signed-in",  # another's port on the same machine
        "{url}/signed-in/../account",
        "{url}/work",
        "",
    ],
)
def test_a_code_goes_nowhere_else(house: House, uri: str) -> None:
    with Browser(house) as browser:
        asked = wish(house) | {"redirect_uri": uri.replace("{url}", house.url)}
        answer = browser.open(**asked)
        assert answer.status_code == 400
        assert "redirect" in answer.text


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:9", "[::1]:{port}"])
def test_it_works_by_every_name_that_leads_here(house: House, host: str) -> None:
    """A tunnel's port too: the browser says what it used."""
    named = host.replace("{port}", house.url.rpartition(":")[2])
    with Browser(house) as browser:
        browser.client.headers["host"] = named
        answer = browser.sign_in(**wish(house, f"http://{named}"))
        assert answer.headers["location"].startswith(f"http://{named}/signed-in?code=")


def test_other_apps_are_still_asked_for(house: House) -> None:
    with Browser(house) as browser:
        shown = browser.sign_in()
        assert shown.status_code == 200
        assert "decision" in shown.text
    assert (EMAIL, PASSWORD) == ("ann@example.org", "correct horse")


def test_a_page_client_that_was_revoked_stays_so(house: House) -> None:
    house.people.revoke_app(PAGE_CLIENT)
    add_page(house.people)
    assert house.people.app(PAGE_CLIENT) is None
