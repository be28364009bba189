"""The owner's pages of a vehicle and of a key that an app wants added, with a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motorcade.registry.accesses.port import Accesses
from motorcade.registry.port import Vehicle
from motorcade.registry.signing.port import ADD_KEY, DONE, REMOVE_KEY, PairedKey, SigningState
from tests.api.oauth.house import START_US, Browser, House, housed
from tests.api.oauth.test_pages import EVIL, check, enter, visit

KEY, OTHER_KEY = "04" + "ab" * 64, "04" + "cd" * 64
DOMAIN = "charger.example"
PAIRING = f"/_ak/{DOMAIN}"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with housed(tmp_path) as house:
        house.counter.sharing = house.registry.sharing
        house.counter.signing = house.registry.signing
        house.counter.privacy = house.registry.privacy
        house.registry.sharing.register(house.app.client_id, DOMAIN, KEY)
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[Browser]:
    with Browser(house) as browser:
        yield browser


@pytest.fixture
def car(house: House) -> Vehicle:
    return house.registry.vehicles(0, 1)[0]


def page_of(car: Vehicle) -> str:
    return f"/account/vehicles/{car.id}"


def test_the_account_leads_to_a_page_that_everybody_can_use(
    house: House, browser: Browser, car: Vehicle
) -> None:
    assert page_of(car) in enter(browser, "/account").text
    for path, status in ((page_of(car), 200), (PAIRING, 200), ("/_ak/nobody.example", 404)):
        check(visit(browser, path))
        assert browser.shown.status_code == status
    house.registry.privacy.add_zone(car.id, EVIL, 1.0, 2.0, 3.0)
    assert "<script>" not in check_text(visit(browser, page_of(car)))


def check_text(answer: httpx.Response) -> str:
    check(answer)
    return answer.text


def test_another_person_s_vehicle_is_not_there(house: House, browser: Browser) -> None:
    bob = house.people.add_person("bob@example.org", "Bob", "correct horse", "bob")[0]
    new = house.registry.add_vehicles(["5YJ3E1EA7KF000002"], bob.subject)[0].vehicle
    enter(browser, "/account")
    for path in (page_of(new), "/account/vehicles/0", "/account/vehicles/x"):
        assert visit(browser, path).status_code == 404
    token = enter_again(browser)
    asked = {"form_token": token, "step": "invite"}
    assert browser.client.post(page_of(new), data=asked).status_code == 404
    assert house.registry.sharing.invitation_count(new.id) == 0


def enter_again(browser: Browser) -> str:
    visit(browser, "/account")
    return browser.field("form_token")


def test_without_a_form_of_ours_nothing_changes(
    house: House, browser: Browser, car: Vehicle
) -> None:
    enter(browser, "/account")
    visit(browser, page_of(car))
    pair = {"step": "pair", "decision": "approve", "public_key": KEY, "vehicle": str(car.id)}
    for path, fields in ((page_of(car), {"step": "invite"}), (PAIRING, pair)):
        for forged in ({"form_token": "x"}, {}):
            assert browser.client.post(path, data=fields | forged).status_code == 403
        foreign = {"Origin": "https://evil.example"}
        fields |= {"form_token": browser.field("form_token")}
        assert browser.client.post(path, data=fields, headers=foreign).status_code == 403
    assert house.registry.sharing.invitation_count(car.id) == 0
    assert house.registry.signing.requests(car.id) == []


def test_a_driver_is_invited_comes_and_is_removed(
    house: House, browser: Browser, car: Vehicle
) -> None:
    house.people.add_person("bob@example.org", "Bob Driver", "correct horse", "bob")
    enter(browser, "/account")
    visit(browser, page_of(car))
    shown = browser.send({"step": "invite"}).text
    found = re.search(r"<code>([^<]+)</code>, good until", shown)
    assert found is not None
    with Browser(house) as bobs:
        visit(bobs, "/account")
        bobs.send({"step": "sign_in", "email": "bob@example.org", "password": "correct horse"})
        assert "which you may drive" in bobs.send({"step": "redeem", "code": found[1]}).text
        assert visit(bobs, page_of(car)).status_code == 404  # a driver shares nothing
    shown = visit(browser, page_of(car)).text
    assert "Bob Driver, since" in shown
    (driver,) = house.registry.sharing.drivers(car.id)
    browser.send({"step": "remove_driver", "driver": str(driver.id)})
    assert "Nobody but you." in browser.shown.text
    assert not house.registry.sharing.drives("bob", car.id)
    browser.send({"step": "invite"})
    browser.send({"step": "revoke_invitation", "invitation": "2"})
    assert "An invitation that waits" not in browser.shown.text


def test_an_owner_approves_an_app_s_key_once(house: House, browser: Browser, car: Vehicle) -> None:
    assert 'name="password"' in visit(browser, PAIRING).text
    page = enter(browser, PAIRING).text
    for told in ("Charger", DOMAIN, "Charge cheaply", KEY, car.vin):
        assert told in page
    approve = {
        "step": "pair",
        "decision": "approve",
        "public_key": KEY,
        "vehicle": str(car.id),
    }
    assert "Refused" in browser.send(approve | {"decision": "deny"}).text
    signing = house.registry.signing
    assert signing.requests(car.id) == []
    for _ in range(2):
        visit(browser, PAIRING)
        assert "Approved" in browser.send(approve).text
    (asked,) = signing.requests(car.id)
    assert (asked.action, asked.public_key, asked.role) == (ADD_KEY, KEY, "OWNER")
    assert asked.form_factor == 9
    assert "To be added" in visit(browser, page_of(car)).text


def test_only_the_key_that_was_shown_and_ones_own_car_can_be_approved(
    house: House, browser: Browser, car: Vehicle
) -> None:
    bob = house.people.add_person("bob@example.org", "Bob", "correct horse", "bob")[0]
    other = house.registry.add_vehicles(["5YJ3E1EA7KF000002"], bob.subject)[0].vehicle
    enter(browser, PAIRING)
    assert other.vin not in browser.shown.text
    approve = {"step": "pair", "decision": "approve", "public_key": KEY}
    assert browser.send(approve | {"vehicle": str(other.id)}).status_code == 400
    house.registry.sharing.register(house.app.client_id, DOMAIN, OTHER_KEY)
    visit(browser, PAIRING)
    answer = browser.send(approve | {"vehicle": str(car.id)})
    assert (answer.status_code, "another key by now" in answer.text) == (400, True)
    for vehicle in (car, other):
        assert house.registry.signing.requests(vehicle.id) == []


def test_keys_are_told_and_removed(house: House, browser: Browser, car: Vehicle) -> None:
    signing = house.registry.signing
    signing.tell({car.token: SigningState("supported", (PairedKey(0, KEY, "OWNER", 9),))})
    enter(browser, "/account")
    page = visit(browser, page_of(car)).text
    assert "owner, an app&#39;s, in the cloud" in page
    browser.send({"step": "remove_key", "public_key": OTHER_KEY})
    assert signing.requests(car.id) == []
    for _ in range(2):
        browser.send({"step": "remove_key", "public_key": KEY})
    (asked,) = signing.requests(car.id)
    assert (asked.action, asked.public_key) == (REMOVE_KEY, KEY)
    assert "To be removed" in browser.shown.text
    signing.end(asked.id, DONE)
    assert "To be removed" not in visit(browser, page_of(car)).text


def test_privacy_is_set_on_the_page(house: House, browser: Browser, car: Vehicle) -> None:
    enter(browser, "/account")
    visit(browser, page_of(car))
    zone = {"step": "add_zone", "name": "home", "latitude": "52.5", "longitude": "13.4"}
    answer = browser.send(zone | {"radius": "wide"})
    assert (answer.status_code, "The radius: write a number" in answer.text) == (400, True)
    assert "300.0 m around 52.5, 13.4" in browser.send(zone | {"radius": "300"}).text
    privacy = house.registry.privacy
    (made,) = privacy.limits(car.id).zones
    assert browser.send({"step": "set_grid", "client_id": "", "grid": "-1"}).status_code == 400
    browser.send({"step": "set_grid", "client_id": "", "grid": "500"})
    browser.send({"step": "remove_zone", "zone": str(made.id)})
    assert (privacy.limits(car.id).zones, privacy.limits(car.id).grids_m) == ((), {"": 500})


def test_what_apps_asked_is_told(house: House, browser: Browser, car: Vehicle) -> None:
    house.counter.access_log = log = house.registry.access_log
    asked = Accesses(car.token, house.app.client_id, "owner", "vehicle_data", 41, START_US)
    log.write([asked, asked._replace(times=1)])
    enter(browser, "/account")
    page = check_text(visit(browser, page_of(car)))
    for told in ("<td>Charger</td>", "<td>vehicle_data</td>", "Charge cheaply", "<td>42</td>"):
        assert told in page
