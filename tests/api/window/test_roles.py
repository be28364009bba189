"""Roles: what each may do on the page, that no other app gets more by one, and that a change ends
what was held by the old one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.api.oauth.first_party import add_page
from motorcade.api.window.roles import role_of
from motorcade.identity.port import PAGE_CLIENT, AccessToken
from motorcade.registry.errors import InvalidNameError, LastAdminError, NotFoundError
from tests.api.oauth.house import CHALLENGE, VERIFIER, VIN, Browser, House, claims, housed, told

SCOPE = "openid offline_access vehicle_device_data vehicle_location vehicle_cmds energy_cmds"
BOB, WORD = "bob@example.org", "correct donkey"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with housed(tmp_path) as house:
        add_page(house.people)
        house.people.add_person(BOB, "Bob", WORD, "bob")
        yield house


def enter(house: House) -> dict[str, Any]:
    """Bob signs in to the page; the token endpoint's answer."""
    uri = f"{house.url}/signed-in"
    wish = {"client_id": PAGE_CLIENT, "redirect_uri": uri, "scope": SCOPE}
    wish |= {"code_challenge": CHALLENGE.decode(), "code_challenge_method": "S256"}
    with Browser(house) as browser:
        code = told(browser.sign_in(email=BOB, password=WORD, **wish))["code"]
    own = {"client_secret": None, "client_id": PAGE_CLIENT, "code_verifier": VERIFIER}
    answer = house.exchange(code, redirect_uri=uri, **own)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def vehicle_status(house: House, token: str) -> int:
    vehicle = house.registry.vehicle_by_vin(VIN)
    assert vehicle is not None
    return house.get(f"/api/1/vehicles/{vehicle.id}", token).status_code


@pytest.mark.parametrize(
    ("role", "sees", "held"),
    [
        ("", 404, {"vehicle_location", "vehicle_cmds"}),
        ("viewer", 200, set()),
        ("operator", 200, {"vehicle_location", "vehicle_cmds"}),
        ("admin", 200, {"vehicle_location", "vehicle_cmds"}),
    ],
)
def test_a_role_says_what_is_seen_and_done(
    house: House, role: str, sees: int, held: set[str]
) -> None:
    house.people.set_role(BOB, role)
    token = enter(house)["access_token"]
    assert set(claims(token)["scp"]) & {"vehicle_location", "vehicle_cmds"} == held
    assert vehicle_status(house, token) == sees


def test_a_change_of_role_ends_what_was_held(house: House) -> None:
    house.people.set_role(BOB, "operator")
    before = enter(house)
    house.people.set_role("bob", "viewer")
    assert house.get("/api/1/vehicles", before["access_token"]).status_code == 401
    own = {"client_secret": None, "client_id": PAGE_CLIENT}
    assert house.refresh(before["refresh_token"], **own).status_code == 401
    assert house.people.role("bob") == "viewer"


def test_no_other_app_gets_more_by_a_role() -> None:
    def asked(client_id: str, subject: str = "bob") -> str:
        token = AccessToken(subject, frozenset(), 1, client_id)
        return role_of(token, lambda _: "admin")

    assert asked(PAGE_CLIENT) == "admin"
    assert asked("some-app") == ""
    assert asked("some-app", "owner") == ""
    assert asked("motorcade-cli", "owner") == "admin"
    assert asked(PAGE_CLIENT, PAGE_CLIENT) == ""  # an app's own token


def test_roles_that_cannot_be_are_refused(house: House) -> None:
    with pytest.raises(InvalidNameError, match="viewer, operator, admin"):
        house.people.set_role(BOB, "king")
    with pytest.raises(NotFoundError):
        house.people.set_role("nobody", "viewer")
    with pytest.raises(LastAdminError, match="owner"):
        house.people.set_role("owner", "viewer")
    assert house.people.role("nobody") == ""
