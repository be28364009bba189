"""The pages as somebody with a browser sees them."""

import asyncio
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.api.pages.dates import date_of
from motorcade.identity.errors import SecretsError
from motorcade.registry.errors import NotFoundError, RegistryUnavailableError
from tests.api.oauth.house import (
    EMAIL,
    PASSWORD,
    REDIRECT,
    SCOPES,
    START_US,
    Browser,
    House,
    claims,
    housed,
    told,
)

EVIL = "<script>alert(1)</script>\"'"
PAGES = ("/account", "/developer", "/user/revoke/consent?revoke_client_id=x")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with housed(tmp_path) as house:
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[Browser]:
    with Browser(house) as browser:
        yield browser


def visit(browser: Browser, path: str) -> httpx.Response:
    browser.shown = browser.client.get(path)
    return browser.shown


def enter(browser: Browser, path: str) -> httpx.Response:
    """Open a page, sign in there."""
    visit(browser, path)
    return browser.send({"step": "sign_in", "email": EMAIL, "password": PASSWORD})


class Checker(HTMLParser):
    """What makes a page readable for everybody, and loads nothing from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.labelled: set[str] = set()
        self.inputs: set[str] = set()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.language = ""
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.handlers += [name for name in named if name.startswith("on") or name == "style"]
        self.loads += [str(named[name]) for name in ("src", "srcset") if name in named]
        if tag == "link":
            self.loads.append(str(named["href"]))
        if tag == "html":
            self.language = named.get("lang") or ""
        if tag == "label":
            self.labelled.add(str(named["for"]))
        if tag in ("input", "textarea") and named.get("type") != "hidden":
            self.inputs.add(str(named["id"]))


def check(answer: httpx.Response) -> Checker:
    page = Checker()
    page.feed(answer.text)
    assert page.language == "en"
    assert page.inputs <= page.labelled, page.inputs - page.labelled
    assert page.loads == ["/account/style.css"]
    assert page.tags.count("h1") == page.tags.count("title") == page.tags.count("main") == 1
    assert not {"script", "iframe", "img"} & set(page.tags)
    assert page.handlers == []
    return page


def test_every_page_can_be_used_by_everybody_and_loads_nothing(
    house: House, browser: Browser
) -> None:
    check(browser.open())
    check(browser.sign_in())
    browser.allow()
    for path in (*PAGES, "/developer/apps/none"):
        check(visit(browser, path))
    app = house.add_app(name=EVIL)[0]
    check(browser.open(client_id=app.client_id))
    check(browser.open(client_id="none"))
    style = browser.client.get("/account/style.css")
    assert style.headers["content-type"].startswith("text/css")


def test_what_people_wrote_is_escaped(house: House, browser: Browser) -> None:
    app = house.add_app(name=EVIL, purpose=EVIL)[0]
    browser.sign_in(client_id=app.client_id, login_hint=EVIL, state=EVIL, nonce=EVIL)
    assert "<script>" not in browser.shown.text
    assert "&lt;script&gt;" in browser.shown.text
    assert browser.allow()["state"] == EVIL
    for path in ("/account", "/developer"):
        assert "<script>" not in visit(browser, path).text
    browser.open(prompt="login", login_hint=EVIL)
    assert "<script>" not in browser.shown.text
    wrong = {"step": "sign_in", "email": EVIL, "password": "wrong"}
    assert "<script>" not in browser.send(wrong).text
    assert "<script>" not in browser.open(scope=EVIL, client_id=EVIL).text


def test_the_consent_page_says_who_asks_for_what_and_why(house: House, browser: Browser) -> None:
    page = browser.sign_in().text
    assert "Charger" in page
    assert "Charge cheaply" in page
    assert EMAIL in page
    assert REDIRECT in page
    for scope in SCOPES:
        assert f'value="{scope}" checked' in page


def test_what_is_refused_is_told_to_the_app(house: House, browser: Browser) -> None:
    browser.sign_in()
    answer = told(browser.send({"step": "consent", "decision": "deny"}))
    assert (answer["error"], answer["state"]) == ("access_denied", "s-1")
    assert answer["iss"] == f"{house.url}/oauth2/v3"
    browser.sign_in(prompt="login")
    assert told(browser.send({"step": "consent", "decision": "allow"}))["error"] == "access_denied"
    assert house.people.grants(house.ann.id) == []


def test_signing_in_once_is_enough_until_the_app_wants_it_anew(
    house: House, browser: Browser
) -> None:
    browser.sign_in()
    browser.allow()
    assert 'name="password"' not in browser.open().text
    assert browser.allow()["code"]
    assert 'name="password"' in browser.open(prompt="login").text
    # The form of an older page does not go around it.
    browser.open()
    stale = browser.action
    fields = {"form_token": browser.field("form_token"), "step": "consent", "decision": "allow"}
    answer = browser.client.post(stale + "&prompt=login", data={**fields, "scope": "openid"})
    assert 'name="password"' in answer.text
    assert browser.sign_in(prompt="login").status_code == 200
    assert "Allow" in browser.shown.text


def test_prompt_none_shows_nobody_anything(house: House, browser: Browser) -> None:
    assert told(browser.open(prompt="none"))["error"] == "login_required"
    browser.sign_in()
    assert told(browser.open(prompt="none"))["error"] == "consent_required"


def test_the_owners_page_shows_what_apps_hold_and_takes_it_back(
    house: House, browser: Browser
) -> None:
    body = house.signed_in(granted=("openid", "offline_access", "vehicle_device_data"))
    page = enter(browser, "/account").text
    assert "Charger" in page
    assert "Charge cheaply" in page
    assert "(vehicle_device_data)" in page
    assert "(vehicle_location)" not in page
    assert f"Since {date_of(START_US)}" in page
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 200
    shown = browser.send({"step": "revoke", "client_id": house.app.client_id})
    assert "None." in shown.text
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 401
    assert house.refresh(body["refresh_token"]).status_code == 401
    again = browser.send({"step": "revoke", "client_id": house.app.client_id})
    assert again.status_code == 404


def test_last_used_is_told(house: House, browser: Browser) -> None:
    body = house.signed_in()
    house.clock.advance(3_600)
    assert house.get("/api/1/vehicles", body["access_token"]).status_code == 200
    asyncio.run_coroutine_threadsafe(house.counter.standing._write_uses(), house.loop).result(10)
    assert f"last used: {date_of(START_US + 3_600_000_000)}" in enter(browser, "/account").text


def test_teslas_revoke_page_shows_the_one_app(house: House, browser: Browser) -> None:
    house.signed_in()
    app, _ = house.add_app(name="Other app")
    with Browser(house) as other:
        other.sign_in(client_id=app.client_id)
        other.allow()
    enter(browser, "/account")
    assert "Other app" in browser.shown.text
    page = visit(browser, f"/user/revoke/consent?revoke_client_id={app.client_id}").text
    assert "Other app" in page
    assert "Charger" not in page
    browser.send({"step": "revoke", "client_id": app.client_id})
    assert "Other app" not in browser.shown.text
    assert "Charger" in browser.shown.text


def test_signing_out_forgets(house: House, browser: Browser) -> None:
    enter(browser, "/account")
    kept = dict(browser.client.cookies)
    assert 'name="password"' in browser.send({"step": "sign_out"}).text
    browser.client.cookies = httpx.Cookies(kept)  # a thief's copy
    assert 'name="password"' in visit(browser, "/account").text


@pytest.mark.parametrize("path", PAGES)
def test_pages_of_somebody_want_them_signed_in(house: House, browser: Browser, path: str) -> None:
    assert 'name="password"' in visit(browser, path).text


def register(browser: Browser, **changes: object) -> httpx.Response:
    enter(browser, "/developer")
    fields: dict[str, object] = {
        "step": "register",
        "name": "My app",
        "purpose": "Show my car",
        "redirect_uris": f"{REDIRECT}\n http://localhost:3000/cb \n",
        "scope": ["openid", "vehicle_device_data"],
        "kind": "confidential",
    }
    return browser.send(fields | changes)


def test_a_developer_registers_an_app_that_works(house: House, browser: Browser) -> None:
    page = register(browser).text
    client_id = re.search(r"Client id</dt><dd><code>([^<]+)", page)
    secret = re.search(r"shown only now: <code>([^<]+)", page)
    assert client_id is not None
    assert secret is not None
    app = house.people.app(client_id[1])
    assert app is not None
    assert app.redirect_uris == (REDIRECT, "http://localhost:3000/cb")
    assert (app.purpose, app.person_id) == ("Show my car", house.ann.id)
    assert house.people.secret_fits(app, secret[1])
    page = visit(browser, f"/developer/apps/{app.client_id}").text
    assert secret[1] not in page
    answer = house.token(
        grant_type="client_credentials", client_id=client_id[1], client_secret=secret[1]
    )
    assert claims(answer.json()["access_token"])["scp"] == ["vehicle_device_data"]
    assert "My app" in visit(browser, "/developer").text
    assert "Charger" not in browser.shown.text  # not this person's


def test_what_cannot_be_registered_is_told_and_kept_in_the_form(
    house: House, browser: Browser
) -> None:
    answer = register(browser, redirect_uris="http://app.example/", name="Kept")
    assert answer.status_code == 400
    assert "use https" in answer.text
    assert 'value="Kept"' in answer.text
    check(answer)
    assert len(house.people.apps()) == 1


def public_pem() -> bytes:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def test_a_developer_changes_their_app(house: House, browser: Browser) -> None:
    register(browser, kind="public")
    (app,) = (app for app in house.people.apps() if app.person_id is not None)
    assert not app.confidential
    path = f"/developer/apps/{app.client_id}"
    visit(browser, path)
    key = public_pem()
    answer = browser.client.post(
        path,
        data={
            "form_token": browser.field("form_token"),
            "step": "change",
            "redirect_uris": "tesla://auth/callback",
            "domain": "App.example",
        },
        files={"public_key_file": ("key.pem", key)},
    )
    assert "Changed." in answer.text
    changed = house.people.app(app.client_id)
    assert changed is not None
    assert changed.redirect_uris == ("tesla://auth/callback",)
    assert (changed.domain, changed.public_key_pem.encode()) == ("app.example", key)
    browser.shown = answer
    sent = {"step": "change", "redirect_uris": REDIRECT, "domain": ""}
    assert "Changed." in browser.send(sent).text
    changed = house.people.app(app.client_id)
    assert changed is not None
    assert changed.public_key_pem.encode() == key  # not sent: it stays
    wrong = browser.send({"step": "change", "redirect_uris": "x", "domain": ""})
    assert (wrong.status_code, "redirect URI" in wrong.text) == (400, True)
    assert "renew" not in wrong.text
    browser.send({"step": "revoke"})
    assert house.people.app(app.client_id) is None


def test_a_developer_renews_a_secret(house: House, browser: Browser) -> None:
    register(browser)
    (app,) = (app for app in house.people.apps() if app.person_id is not None)
    page = browser.send({"step": "renew"}).text
    secret = re.search(r"shown only now: <code>([^<]+)", page)
    assert secret is not None
    assert house.people.secret_fits(app, secret[1])


def test_another_developers_app_is_not_there(house: House, browser: Browser) -> None:
    bob, password = house.people.add_person("bob@example.org", "Bob")
    register(browser)
    (app,) = (app for app in house.people.apps() if app.person_id is not None)
    with Browser(house) as other:
        visit(other, "/developer")
        other.send({"step": "sign_in", "email": bob.email, "password": password})
        assert "My app" not in other.shown.text
        token = other.field("form_token")
        for path in (app.client_id, house.app.client_id, "none"):
            assert other.client.get(f"/developer/apps/{path}").status_code == 404
            for step in ("change", "renew", "revoke"):
                sent = {"form_token": token, "step": step}
                answer = other.client.post(f"/developer/apps/{path}", data=sent)
                assert answer.status_code == 404
    assert house.people.app(app.client_id) == app


@pytest.mark.parametrize(
    ("time_us", "shown"),
    [
        (0, "1970-01-01 00:00 UTC"),
        (1_795_687_521_999_999, "2026-11-26 10:05 UTC"),
        (951_782_399_000_000, "2000-02-28 23:59 UTC"),
    ],
)
def test_dates(time_us: int, shown: str) -> None:
    assert date_of(time_us) == shown


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [
        (RegistryUnavailableError("registry database is locked"), 503, "Please try again"),
        (SecretsError("cannot read /secrets/x"), 503, "Please try again"),
        (NotFoundError("locked: `motorcade app list` shows all /secrets"), 404, "Not there"),
    ],
)
def test_what_the_registry_refuses_is_told_on_a_page(
    house: House,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    heading: str,
) -> None:
    enter(browser, "/account")

    def fail(*_: object) -> None:
        raise error

    for name, path in (
        ("sign_in", "/account"),
        ("sign_in", "/developer"),
        ("grants", "/account"),
        ("apps_of", "/developer"),
        ("app", "/developer/apps/x"),
        ("app", "/oauth2/v3/authorize?client_id=x"),
    ):
        monkeypatch.setattr(type(house.people), name, fail)
        answer = browser.client.get(path)
        monkeypatch.undo()
        assert (answer.status_code, heading in answer.text) == (status, True), (name, path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src" in answer.headers["content-security-policy"]
        assert not re.search("locked|motorcade app|secrets", answer.text)


def test_the_developers_page_reads_ones_own_apps_alone(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are in all."""
    monkeypatch.setattr(type(house.people), "apps", None)
    assert "Register an app" in enter(browser, "/developer").text


def test_an_app_is_told_when_the_registry_cannot_be_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RegistryUnavailableError("registry database is locked")

    monkeypatch.setattr(type(house.people), "app", fail)
    answer = house.token(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (503, "service unavailable")
    assert "locked" not in answer.text


PART = b'--a\r\nContent-Disposition: form-data; name="f"'


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"--a\r\nx\r\n",
        PART + b"\r\n\r\n\xff\xfe\r\n--a--\r\n",
        PART + b"\r\nContent-Type: text/plain; charset=none\r\n\r\nx\r\n--a--\r\n",
        (PART + b"\r\n\r\nx\r\n") * 1_100 + b"--a--\r\n",
    ],
)
def test_a_form_in_parts_that_cannot_be_read_is_told_on_a_page(
    browser: Browser, body: bytes
) -> None:
    enter(browser, "/account")
    kind = {"Content-Type": "multipart/form-data; boundary=a"}
    answer = browser.client.post("/account", content=body, headers=kind)
    assert answer.status_code == 400
    assert "This cannot be read" in answer.text


def test_a_body_that_is_too_large_and_a_fault_of_ours_are_told_on_a_page(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(browser, "/account")
    large = b"x" * (house.config.api.body_bytes_max + 1)
    answer = browser.client.post("/account", content=large)
    assert (answer.status_code, "cannot be read" in answer.text) == (413, True)
    monkeypatch.setattr(type(house.people), "grants", lambda *_: 1 / 0)
    answer = browser.client.get("/account")
    assert (answer.status_code, "Something went wrong" in answer.text) == (500, True)
    assert "division" not in answer.text
