"""What owners and developers change on their pages is in the audit, and no place with it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.api.audit import Audit
from motorcade.registry.audit.port import DeedsAsked
from motorcade.registry.port import Vehicle
from motorcade.registry.signing.port import PairedKey, SigningState
from tests.api.oauth.house import Browser, House, housed
from tests.api.oauth.test_pages import enter, visit

KEY = "04" + "ab" * 64
DOMAIN = "charger.example"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with housed(tmp_path) as house:
        counter, registry = house.counter, house.registry
        counter.sharing, counter.signing = registry.sharing, registry.signing
        counter.privacy, counter.audit_log = registry.privacy, registry.audit
        counter.audit = Audit(registry.audit, counter.clock, 60.0)
        registry.sharing.register(house.app.client_id, DOMAIN, KEY)
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[Browser]:
    with Browser(house) as browser:
        yield browser


def car_of(house: House) -> Vehicle:
    return house.registry.vehicles(0, 1)[0]


def deeds(house: House) -> list[tuple[str, str, int | None]]:
    """What was done, with its text and vehicle, the oldest first."""
    found = house.registry.audit.deeds(DeedsAsked())
    assert {deed.client_id for deed in found} <= {"motorcade-account"}
    return [(deed.what, deed.text, deed.vehicle_id) for deed in reversed(found)]


def test_drivers_come_and_go(house: House, browser: Browser) -> None:
    car = car_of(house)
    house.people.add_person("bob@example.org", "Bob Driver", "correct horse", "bob")
    enter(browser, "/account")
    visit(browser, f"/account/vehicles/{car.id}")
    code = re.search(r"<code>([^<]+)</code>, good until", browser.send({"step": "invite"}).text)
    assert code is not None
    with Browser(house) as bobs:
        visit(bobs, "/account")
        bobs.send({"step": "sign_in", "email": "bob@example.org", "password": "correct horse"})
        bobs.send({"step": "redeem", "code": code[1]})
    (driver,) = house.registry.sharing.drivers(car.id)
    visit(browser, f"/account/vehicles/{car.id}")
    browser.send({"step": "remove_driver", "driver": str(driver.id)})
    browser.send({"step": "invite"})
    browser.send({"step": "revoke_invitation", "invitation": "2"})
    assert deeds(house) == [
        ("invited_driver", "", car.id),
        ("became_driver", "", car.id),
        ("removed_driver", "bob", car.id),
        ("invited_driver", "", car.id),
        ("revoked_invitation", "invitation 2", car.id),
    ]
    names = [deed.name for deed in reversed(house.registry.audit.deeds(DeedsAsked()))]
    assert names[1] == "Bob Driver"


def test_what_is_kept_back_is_told_without_the_place(house: House, browser: Browser) -> None:
    car = car_of(house)
    enter(browser, "/account")
    visit(browser, f"/account/vehicles/{car.id}")
    zone = {"step": "add_zone", "name": "mistress", "latitude": "52.5", "longitude": "13.4"}
    browser.send(zone | {"radius": "wide"})  # refused: not done
    browser.send(zone | {"radius": "300"})
    (made,) = house.registry.privacy.limits(car.id).zones
    browser.send({"step": "set_grid", "client_id": "", "grid": "500"})
    browser.send({"step": "remove_zone", "zone": str(made.id)})
    assert deeds(house) == [
        ("changed_privacy", f"zone {made.id} added", car.id),
        ("changed_privacy", "grid of 500 m for every app", car.id),
        ("changed_privacy", f"zone {made.id} removed", car.id),
    ]


def test_keys_are_approved_and_taken_away(house: House, browser: Browser) -> None:
    car = car_of(house)
    enter(browser, f"/_ak/{DOMAIN}")
    approve = {"step": "pair", "decision": "approve", "public_key": KEY, "vehicle": str(car.id)}
    for _ in range(2):  # the second time it waits already: nothing was done
        visit(browser, f"/_ak/{DOMAIN}")
        browser.send(approve)
    signing = house.registry.signing
    signing.tell({car.token: SigningState("supported", (PairedKey(0, KEY, "OWNER", 9),))})
    visit(browser, f"/account/vehicles/{car.id}")
    for _ in range(2):
        browser.send({"step": "remove_key", "public_key": KEY})
    assert deeds(house) == [
        ("approved_key", f"{DOMAIN}, key ...abababab", car.id),
        ("asked_to_remove_key", "key ...abababab", car.id),
    ]


def test_an_app_is_allowed_and_its_consent_taken_back(house: House, browser: Browser) -> None:
    browser.open()
    browser.sign_in()
    browser.allow()
    visit(browser, "/account")
    browser.send({"step": "revoke", "client_id": house.app.client_id})
    (allowed, taken) = deeds(house)
    assert allowed[0] == "allowed_app"
    assert f"({house.app.client_id}): openid" in allowed[1]
    assert taken == ("took_back_consent", house.app.client_id, None)


def test_a_developers_app_is_made_changed_and_ended(house: House, browser: Browser) -> None:
    enter(browser, "/developer")
    fields = {"step": "register", "name": "Mine", "redirect_uris": "https://mine.example/cb"}
    browser.send(fields | {"scope": "openid", "kind": "confidential"})
    (app,) = house.people.apps_of(1)
    path = f"/developer/apps/{app.client_id}"
    visit(browser, path)
    browser.send({"step": "change", "redirect_uris": "https://mine.example/other"})
    browser.send({"step": "renew"})
    browser.send({"step": "revoke"})
    told = [(what, text) for what, text, _ in deeds(house)]
    kinds = ("registered_app", "changed_app", "renewed_secret", "ended_app")
    assert told == [(what, f"Mine ({app.client_id})") for what in kinds]
