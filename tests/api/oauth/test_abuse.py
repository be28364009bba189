"""Every door that OAuth's security literature names, tried (RFC 6819, 9700): all are shut.

What is forged as a token stands in `tests/identity/test_tokens.py`, too; here it goes through the
API. Registered redirect URIs that cannot be are refused in `tests/contracts/test_people.py`.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from motorcade.registry.people.port import AppRequest
from tests.api.oauth.house import (
    CHALLENGE,
    EMAIL,
    PASSWORD,
    REDIRECT,
    SCOPES,
    VERIFIER,
    Browser,
    House,
    claims,
    housed,
    told,
)

PKCE = {"code_challenge": CHALLENGE.decode(), "code_challenge_method": "S256"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with housed(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[Browser]:
    with Browser(house) as browser:
        yield browser


def works(house: House, access_token: str) -> bool:
    return house.get("/api/1/vehicles", access_token).status_code == 200


# Redirects.

WRONG_REDIRECTS = (
    "https://evil.example/callback",
    "https://app.example/callback/",
    "https://app.example/callback?x=1",
    "https://app.example/callback#x",
    "https://app.example/Callback",
    "https://APP.example/callback",
    "http://app.example/callback",
    "https://app.example:443/callback",
    "https://app.example.evil.example/callback",
    "https://app.example@evil.example/callback",
    "https://app.example/callback/../evil",
    "https://app.example/%63allback",
    "//app.example/callback",
    "javascript:alert(1)",
    "data:text/html,x",
    " https://app.example/callback",
    "https://app.example/callback\r\nLocation: https://evil.example",
    "https://evil.example/\N{SNOWMAN}",
    'https://evil.example/"\\',
)


@pytest.mark.parametrize("uri", WRONG_REDIRECTS)
def test_nobody_is_sent_to_an_address_that_is_not_registered(browser: Browser, uri: str) -> None:
    for further in ({}, {"scope": "root"}, {"response_type": "token"}, {"prompt": "none"}):
        answer = browser.open(redirect_uri=uri, **further)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_without_an_address_the_only_one_is_taken_and_of_two_none(house: House) -> None:
    two, _ = house.add_app(redirect_uris=(REDIRECT, "https://app.example/other"))
    with Browser(house) as browser:
        assert browser.open(redirect_uri=None).status_code == 200
        assert browser.open(redirect_uri=None, client_id=two.client_id).status_code == 400


def test_an_unknown_app_sends_nobody_anywhere(browser: Browser) -> None:
    for client_id in ("none", "", None, "\x00", "a" * 9_000, "'\"<"):
        answer = browser.open(client_id=client_id)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_the_post_is_judged_as_the_page_was(house: House, browser: Browser) -> None:
    """Somebody changes the address of the form between the page and the button."""
    browser.sign_in()
    fields = {
        "form_token": browser.field("form_token"),
        "step": "consent",
        "decision": "allow",
        "scope": list(SCOPES),
    }
    for wrong in (
        {"redirect_uri": "https://evil.example/"},
        {"client_id": "none"},
    ):
        params = house.query() | wrong
        answer = browser.client.post("/oauth2/v3/authorize", params=params, data=fields)
        assert answer.status_code == 400
        assert "location" not in answer.headers


UNASKED = ({"scope": "root"}, {"response_type": "token"}, {"prompt": "none"})


@pytest.mark.parametrize("wrong", UNASKED)
def test_a_self_registered_app_moves_no_browser_on_its_own(
    house: House, browser: Browser, wrong: dict[str, str]
) -> None:
    """Anybody registers one, and sends a link to us that would lead to them (RFC 9700 §4.11.2)."""
    number = len(house.people.people())
    eve, _ = house.people.add_person(f"eve{number}@example.org", "Eve", PASSWORD)
    wanted = AppRequest("Bank", ("https://evil.example/x",), SCOPES)
    app, _ = house.people.add_app(wanted, eve.id)
    asked = {"client_id": app.client_id, "redirect_uri": "https://evil.example/x"}
    for signed_in in (False, True):
        if signed_in:
            browser.sign_in()
        answer = browser.open(**asked, **wrong)
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert 'href="https://evil.example/x?error=' in answer.text  # told, and theirs to follow
        assert "Bank" in answer.text
    with Browser(house) as eves:  # who registered it is led on
        eves.sign_in(email=eve.email)
        assert told(eves.open(**asked, **wrong))["error"]
    browser.open(**asked)
    browser.send({"step": "consent", "decision": "deny"})  # a click, on a page that said where to
    assert told(browser.shown)["error"] == "access_denied"
    browser.open(**asked)
    browser.allow(("openid",))
    assert told(browser.open(**asked, **wrong))["error"]  # let in once: known to this person
    house.people.revoke_grant(house.ann.id, app.client_id)
    assert browser.open(**asked, **wrong).status_code == 400


def test_a_form_sent_for_a_wrong_wish_moves_nobody_either(house: House, browser: Browser) -> None:
    eve, _ = house.people.add_person("eve@example.net", "Eve", PASSWORD)
    wanted = AppRequest("Bank", ("https://evil.example/x",), SCOPES)
    app, _ = house.people.add_app(wanted, eve.id)
    query = house.query(client_id=app.client_id, redirect_uri="https://evil.example/x")
    for wrong in UNASKED:
        answer = browser.client.post("/oauth2/v3/authorize", params=query | wrong, data={"a": "b"})
        assert answer.status_code in (400, 403)
        assert "location" not in answer.headers


def test_a_parameter_that_stands_there_twice_sends_nobody_anywhere(
    house: House, browser: Browser
) -> None:
    for name in ("redirect_uri", "client_id", "scope", "state", "code_challenge"):
        query = [*house.query(code_challenge="x" * 43).items(), (name, "https://evil.example/")]
        answer = browser.client.get("/oauth2/v3/authorize", params=query)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_answers_name_their_server_against_mix_up(house: House, browser: Browser) -> None:
    browser.sign_in()
    assert browser.allow()["iss"] == f"{house.url}/oauth2/v3"
    assert told(browser.open(scope="root"))["iss"] == f"{house.url}/oauth2/v3"


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "none", "", None])
def test_no_token_travels_in_an_address(browser: Browser, response_type: str | None) -> None:
    answer = browser.open(response_type=response_type)
    assert told(answer)["error"] in ("unsupported_response_type", "invalid_request")


def test_the_state_comes_back_untouched(browser: Browser) -> None:
    for state in ("a b&c=d#e", "é☃", "\r\nSet-Cookie: x=1", "%0d%0a"):
        browser.sign_in(state=state, prompt="login")
        assert browser.allow()["state"] == state


# Codes.


def test_a_replayed_code_ends_what_it_began(house: House) -> None:
    code = house.code()
    body = house.exchange(code).json()
    assert works(house, body["access_token"])
    answer = house.exchange(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_auth_code")
    assert not works(house, body["access_token"])
    assert house.refresh(body["refresh_token"]).status_code == 401


def test_of_many_exchanges_at_once_one_at_most_is_answered(house: House) -> None:
    code = house.code()
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(house.exchange(code))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    assert all(answer.status_code in (200, 400) for answer in answers)
    assert not any(works(house, answer.json()["access_token"]) for answer in good)


def test_a_code_is_worth_nothing_to_another_app(house: House) -> None:
    other, secret = house.add_app()
    code = house.code()
    answer = house.exchange(code, client_id=other.client_id, client_secret=secret)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_auth_code")
    assert house.exchange(code).status_code == 200


def test_a_code_is_worth_nothing_without_the_secret(house: House) -> None:
    code = house.code()
    for wrong in (None, "", "wrong", house.secret.upper()):
        answer = house.exchange(code, client_secret=wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert house.exchange(code).status_code == 200


def test_a_code_goes_with_the_redirect_that_it_was_asked_with(house: House) -> None:
    """RFC 6749 §4.1.3: named again where it was named, to the letter; else it need not be."""
    for sent in (None, "", f"{REDIRECT}/", "https://evil.example/callback"):
        answer = house.exchange(house.code(), redirect_uri=sent)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_url")
    for sent in (None, "", REDIRECT):
        answer = house.exchange(house.code(redirect_uri=None), redirect_uri=sent)
        assert answer.status_code == 200, answer.text
    answer = house.exchange(house.code(redirect_uri=None), redirect_uri=f"{REDIRECT}/")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_url")


def test_a_code_ends_soon(tmp_path: Path) -> None:
    with housed(tmp_path) as house:
        code = house.code()
        house.clock.advance(house.config.registry.code_s)
        assert house.exchange(code).status_code == 400


# PKCE.


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": VERIFIER},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"code_challenge": VERIFIER, "code_challenge_method": "s256"},
        {"code_challenge": VERIFIER, "code_challenge_method": ""},
        {"code_challenge_method": "S256"},
        {"code_challenge": "", "code_challenge_method": "S256"},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge": "é" * 43, "code_challenge_method": "S256"},
    ],
)
def test_pkce_is_s256_or_nothing(browser: Browser, changes: dict[str, str]) -> None:
    assert told(browser.open(**changes))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "verifier", [None, "", "w" * 43, "v" * 42, CHALLENGE.decode(), "é" * 43, "v" * 9_000]
)
def test_without_the_verifier_a_code_is_worth_nothing(house: House, verifier: str | None) -> None:
    code = house.code(**PKCE)
    answer = house.exchange(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "invalid_grant")
    assert house.exchange(code, code_verifier=VERIFIER).status_code == 200


def test_a_downgrade_is_noticed(house: House) -> None:
    """Somebody took the challenge out of the link; the app still sends its verifier."""
    answer = house.exchange(house.code(), code_verifier=VERIFIER)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# Refresh tokens.


def test_a_stolen_refresh_token_is_noticed(house: House) -> None:
    first = house.signed_in()["refresh_token"]
    owners = house.refresh(first).json()
    owners = house.refresh(owners["refresh_token"]).json()
    assert house.refresh(first).status_code == 401  # the thief, late
    assert house.refresh(owners["refresh_token"]).status_code == 401
    assert not works(house, owners["access_token"])


def test_a_refresh_token_is_worth_nothing_to_another_app(house: House) -> None:
    other, secret = house.add_app()
    token = house.signed_in()["refresh_token"]
    for credentials in (
        {"client_id": other.client_id, "client_secret": secret},
        {"client_id": other.client_id, "client_secret": None},
        {"client_id": house.app.client_id, "client_secret": "wrong"},
        {"client_id": None, "client_secret": None},
    ):
        assert house.refresh(token, **credentials).status_code in (400, 401)
    assert house.refresh(token).status_code == 200


def test_refreshing_widens_nothing(house: House) -> None:
    body = house.signed_in(granted=("offline_access", "vehicle_device_data"))
    answer = house.refresh(body["refresh_token"], scope=" ".join(SCOPES))
    assert claims(answer.json()["access_token"])["scp"] == [
        "offline_access",
        "vehicle_device_data",
    ]


# Scopes.


@pytest.mark.parametrize("scope", ["vehicle_cmds", "openid vehicle_cmds", "metrics", "root", "*"])
def test_an_app_may_not_ask_for_more_than_it_registered(browser: Browser, scope: str) -> None:
    assert told(browser.open(scope=scope))["error"] == "invalid_scope"


def test_a_person_allows_no_more_than_was_asked(house: House, browser: Browser) -> None:
    """The form is changed in the browser, or by who sits in it."""
    browser.sign_in(scope="openid")
    code = browser.allow(("openid", "vehicle_location", "vehicle_cmds", "metrics"))["code"]
    assert claims(house.exchange(code).json()["access_token"])["scp"] == ["openid"]


def test_partners_data_is_nobodys_to_grant(house: House, browser: Browser) -> None:
    app, secret = house.add_app(scopes=("openid", "vehicle_specs"))
    browser.sign_in(client_id=app.client_id, scope="openid vehicle_specs")
    code = browser.allow(("openid", "vehicle_specs"))["code"]
    answer = house.exchange(code, client_id=app.client_id, client_secret=secret)
    assert claims(answer.json()["access_token"])["scp"] == ["openid"]


def test_a_charging_app_gets_no_location(house: House) -> None:
    body = house.signed_in(granted=("vehicle_device_data", "vehicle_charging_cmds"))
    path = "/api/1/vehicles/5YJ3E1EA7KF000001/vehicle_data"
    answer = house.get(f"{path}?endpoints=location_data;drive_state", body["access_token"])
    assert "latitude" not in answer.text


def test_no_app_passes_for_the_owner(house: House) -> None:
    """A partner token's subject is its client id: `owner` owns every vehicle."""
    answer = house.token(grant_type="client_credentials")
    assert claims(answer.json()["access_token"])["sub"] == house.app.client_id
    assert house.get("/api/1/vehicles", answer.json()["access_token"]).status_code == 403


# Tokens.


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_forged_and_confused_tokens_open_nothing(house: House) -> None:
    body = house.signed_in()
    header, payload, signature = body["access_token"].split(".")
    more = part(claims(body["access_token"]) | {"scp": [*SCOPES, "vehicle_cmds"]})
    jwk = httpx.get(f"{house.url}/oauth2/v3/discovery/thirdparty/keys").json()["keys"][0]
    point = b"".join(base64.urlsafe_b64decode(jwk[name] + "=") for name in ("x", "y"))
    forged = [f"{part({'alg': alg})}.{payload}." for alg in ("none", "None", "NONE", "")]
    for secret in (json.dumps(jwk).encode(), b"\x04" + point, b""):
        text = f"{part({'alg': 'HS256', 'kid': jwk['kid']})}.{payload}"
        forged.append(f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}")
    forged += [
        f"{header}.{more}.{signature}",
        f"{header}.{payload}.",
        body["id_token"],  # ours, signed, and no access token
        body["refresh_token"],
        house.code(),
        house.secret,
    ]
    for token in forged:
        assert house.get("/api/1/vehicles", token).status_code == 401, token
        assert house.get("/oauth2/v3/userinfo", token).status_code == 401, token
    assert works(house, body["access_token"])


# Forms.


def test_a_foreign_form_signs_nobody_in_and_allows_nothing(house: House, browser: Browser) -> None:
    browser.open()
    good = {"step": "sign_in", "email": EMAIL, "password": PASSWORD}
    for token in ("", "0" * 64, "é", None):
        sent = good if token is None else good | {"form_token": token}
        answer = browser.client.post(browser.action, data=sent)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    with Browser(house) as attacker:
        attacker.open()
        lent = good | {"form_token": attacker.field("form_token")}
        assert browser.client.post(browser.action, data=lent).status_code == 403
    browser.send(good)
    allow = {"step": "consent", "decision": "allow", "scope": "openid"}
    with Browser(house) as attacker:
        attacker.sign_in()
        lent = allow | {"form_token": attacker.field("form_token")}
        assert browser.client.post(browser.action, data=lent).status_code == 403
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://["},
        {"Origin": "https://[::1"},
        {"Origin": f"{house.url}/"},
        {"Origin": house.url.removeprefix("http://")},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = browser.client.post(
            browser.action,
            data=allow | {"form_token": browser.field("form_token")},
            headers=headers,
        )
        assert (answer.status_code, "location" in answer.headers) == (403, False)
    same = {"Origin": house.url, "Sec-Fetch-Site": "same-origin"}
    assert told(browser.send(allow, **same))["code"]


@pytest.mark.parametrize("path", ["/account", "/developer", "/developer/apps/x"])
def test_every_form_wants_its_token(house: House, browser: Browser, path: str) -> None:
    browser.sign_in()
    for step in ("revoke", "register", "change", "renew", "sign_out", "sign_in"):
        answer = browser.client.post(path, data={"step": step, "client_id": house.app.client_id})
        assert answer.status_code == 403


def test_signing_in_begins_a_new_cookie(house: House, browser: Browser) -> None:
    """What somebody planted before is worth nothing afterwards (session fixation)."""
    planted = "a" * 43
    browser.open()
    before = browser.field("form_token")
    fields = {"form_token": before, "step": "sign_in", "email": EMAIL, "password": PASSWORD}
    cookies = {
        "Cookie": f"motorcade_browser={browser.client.cookies['motorcade_browser']}; "
        f"motorcade_sign_in={planted}"
    }
    answer = httpx.post(house.url + browser.action, data=fields, headers=cookies)
    assert answer.status_code == 303
    cookie, known = answer.headers.get_list("set-cookie")
    assert cookie.startswith("motorcade_sign_in=")
    assert known.startswith("motorcade_known=")
    assert planted not in cookie
    assert house.people.sign_in(planted) is None
    browser.send({"step": "sign_in", "email": EMAIL, "password": PASSWORD})
    assert browser.field("form_token") != before


def test_cookies_are_kept_from_scripts_and_other_sites(house: House, browser: Browser) -> None:
    answer = browser.open()
    answers = [answer]
    answers.append(
        browser.client.post(
            browser.action,
            data={
                "form_token": browser.field("form_token"),
                "step": "sign_in",
                "email": EMAIL,
                "password": PASSWORD,
            },
        )
    )
    cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    names = [cookie.partition("=")[0] for cookie in cookies]
    assert names == ["motorcade_browser", "motorcade_sign_in", "motorcade_known"]
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Domain" not in cookie


WRONG = {"step": "sign_in", "email": EMAIL, "password": "wrong wrong"}
RIGHT = {"step": "sign_in", "email": EMAIL, "password": PASSWORD}


def test_guessing_passwords_is_limited(tmp_path: Path) -> None:
    settings = ("api.failed_sign_ins_per_pair_burst=3",)
    with housed(tmp_path, *settings) as house, Browser(house) as browser:
        browser.open()
        for _ in range(3):
            assert browser.send(WRONG).status_code == 403
        right = RIGHT | {"email": EMAIL.upper()}
        assert browser.send(right).status_code == 429
        bob, password = house.people.add_person("bob@example.org", "Bob")
        other = {"step": "sign_in", "email": bob.email, "password": password}
        assert "Allow" in browser.send(other).text
        house.clock.advance(1 / house.config.api.failed_sign_ins_per_pair_per_s)
        browser.open(prompt="login")
        assert "Allow" in browser.send(right).text


def test_a_guesser_locks_nobody_out_of_a_browser_they_know(tmp_path: Path) -> None:
    settings = (
        "api.failed_sign_ins_per_pair_burst=2",
        "api.failed_sign_ins_per_address_burst=4",
        "api.failed_sign_ins_per_email_burst=2",
    )
    with housed(tmp_path, *settings) as house, Browser(house) as anns, Browser(house) as guesser:
        anns.sign_in()
        guesser.open()
        codes = [guesser.send(WRONG).status_code for _ in range(4)]
        assert codes == [403, 403, 429, 429]
        anns.open(prompt="login")
        assert "Allow" in anns.send(RIGHT).text
        anns.open(prompt="login")
        assert [anns.send(WRONG).status_code for _ in range(3)] == [403, 403, 429]
        known = anns.client.cookies["motorcade_known"]
        name, _, mark = known.partition(".")
        for forged in (f"{'0' * 32}.{mark}", f"{name}.{'0' * 64}", f"{name}.", mark, ""):
            with Browser(house) as thief:
                thief.client.cookies["motorcade_known"] = forged
                thief.open()
                assert thief.send(RIGHT).status_code == 429, forged


def test_a_new_password_makes_known_browsers_strange(tmp_path: Path) -> None:
    settings = ("api.failed_sign_ins_per_pair_burst=1",)
    with housed(tmp_path, *settings) as house, Browser(house) as browser:
        browser.sign_in()
        with Browser(house) as guesser:
            guesser.open()
            assert guesser.send(WRONG).status_code == 403
        house.people.set_password(EMAIL, PASSWORD)
        browser.open()
        assert browser.send(RIGHT).status_code == 429


def test_guessing_from_one_address_is_limited(tmp_path: Path) -> None:
    settings = ("api.failed_sign_ins_per_address_burst=3",)
    with housed(tmp_path, *settings) as house, Browser(house) as browser:
        browser.open()
        for number in range(3):
            wrong = {"step": "sign_in", "email": f"{number}@x.org", "password": "wrong wrong"}
            assert browser.send(wrong).status_code == 403
        right = {"step": "sign_in", "email": EMAIL, "password": PASSWORD}
        assert browser.send(right).status_code == 429


def test_wrong_e_mail_and_wrong_password_look_alike(browser: Browser) -> None:
    browser.open()
    texts = []
    for email in (EMAIL, "nobody@example.org"):
        answer = browser.send({"step": "sign_in", "email": email, "password": "wrong wrong"})
        texts.append((answer.status_code, answer.text.replace(email, "")))
    assert texts[0] == texts[1]


# Frames.


def test_no_page_lets_itself_be_framed_or_run_scripts(house: House, browser: Browser) -> None:
    answers = [
        browser.open(),
        browser.open(client_id="none"),
        browser.sign_in(),
        browser.client.get("/account"),
        browser.client.get("/developer"),
        browser.client.get("/developer/apps/none"),
        browser.client.get("/user/revoke/consent"),
        browser.client.post("/account", data={}),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
    consent = answers[2].headers["content-security-policy"]
    assert "form-action 'self' https://app.example;" in consent
    assert "form-action 'self';" in answers[0].headers["content-security-policy"]
