"""The promises of people, apps and grants (`registry/people/port.py`), on every engine."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from motorcade.registry.people import grants
from motorcade.registry.people.port import App, AppRequest, CodeRequest, People, Person

START_US = 1_750_000_000_000_000
SCOPES = ("openid", "offline_access", "vehicle_device_data", "vehicle_cmds")
REDIRECT = "https://app.example/callback"
DAY_S = 86_400
CONFIG = RegistryConfig(password_passes=1, password_memory_kib=64)

Open = Callable[[], People]
"""Opens the same registry once more, as another process would."""


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_US)


@pytest.fixture(params=["embedded"])
def open_again(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SimulatedClock
) -> Iterator[Open]:
    opened: list[EmbeddedRegistry] = []

    def open_embedded() -> People:
        registry = EmbeddedRegistry(
            tmp_path / "registry.sqlite", account_key=bytes(32), clock=clock, config=CONFIG
        )
        opened.append(registry)
        return registry.people

    yield {"embedded": open_embedded}[request.param]
    for registry in opened:
        registry.close()


@pytest.fixture
def people(open_again: Open) -> People:
    return open_again()


@pytest.fixture
def ann(people: People) -> Person:
    return people.add_person("Ann@Example.org", "Ann Owner", "correct horse", "owner")[0]


@pytest.fixture
def app(people: People) -> App:
    return people.add_app(AppRequest("Charger", (REDIRECT,), SCOPES, purpose="Charge cheaply"))[0]


def asked(people: People, ann: Person, app: App, **changes: Any) -> CodeRequest:
    signed_in = people.sign_in(signs_in(people, ann))
    assert signed_in is not None
    wanted = {
        "person_id": ann.id,
        "app_id": app.id,
        "scopes": SCOPES,
        "asked": SCOPES,
        "redirect_uri": REDIRECT,
        "challenge": "",
        "nonce": "n",
        "signed_in_time_us": START_US,
        "sign_in_id": signed_in.id,
    }
    return CodeRequest(**(wanted | changes))


def begin(people: People, ann: Person, app: App, **changes: Any) -> tuple[int, str]:
    """Grant, exchange the code; the session's id and its first refresh token."""
    begun = people.begin_session(
        people.issue_code(asked(people, ann, app, **changes), "NA_"), app, "NA_"
    )
    assert begun is not None
    return begun[0].id, begun[1]


def signs_in(people: People, ann: Person) -> str:
    """A browser's cookie."""
    secret = people.begin_sign_in(ann.id, "b1", people.browser_mark(ann.email, "b1"))
    assert secret
    return secret


def stands(people: People, app: App, session_id: int, token_id: str = "") -> bool:
    return people.standing(session_id, token_id, app.client_id) is not None


# People.


def test_somebody_signs_in_with_their_own_password_only(people: People, ann: Person) -> None:
    bob, drawn = people.add_person("bob@example.org", "Bob")
    assert len(drawn) == 43
    assert people.check_password("ANN@example.org ", "correct horse") == ann
    assert people.check_password("bob@example.org", drawn) == bob
    for email, password in (
        ("ann@example.org", drawn),
        ("ann@example.org", ""),
        ("ann@example.org", "x" * 100_000),
        ("ann@example.org", "\udc80"),
        ("nobody@example.org", "correct horse"),
        ("\udc80", "correct horse"),
        ("owner", "correct horse"),
    ):
        assert people.check_password(email, password) is None


def test_an_unknown_e_mail_is_hashed_for_too(
    people: People, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motorcade.registry.people import accounts

    seen: list[str] = []
    real = accounts.fits
    monkeypatch.setattr(
        accounts, "fits", lambda stored, *rest: seen.append(stored) or real(stored, *rest)
    )
    people.check_password("nobody@example.org", "correct horse")
    people.check_password("ann@example.org", "wrong horse")
    assert [stored.rpartition("$")[0].rpartition("$")[0] for stored in seen] == [
        "$argon2id$v=19$m=64,t=1,p=1"
    ] * 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"email": "no at"}, "e-mail"),
        ({"full_name": ""}, "full name"),
        ({"full_name": "a\nb"}, "full name"),
        ({"password": "short"}, "10 to 256"),
        ({"password": "x" * 300}, "10 to 256"),
        ({"subject": "a?b"}, "subject"),
        ({"subject": "admin"}, "the platform's"),
    ],
)
def test_people_who_cannot_be_are_refused(people: People, changes: Any, told: str) -> None:
    wanted = {"email": "a@b.org", "full_name": "A", "password": "long enough"} | changes
    with pytest.raises(InvalidNameError, match=told):
        people.add_person(**wanted)
    assert people.people() == []


def test_e_mails_subjects_and_client_ids_are_nobody_elses(
    people: People, ann: Person, app: App
) -> None:
    for email, subject in (
        ("ann@example.org", "x"),
        ("x@example.org", "owner"),
        ("x@example.org", app.client_id),
    ):
        with pytest.raises(AlreadyExistsError):
            people.add_person(email, "X", subject=subject)
    people.add_person("bob@example.org", "Bob", subject="bob")
    for client_id in (app.client_id, "owner", "admin", "motorcade-cli", "bob"):
        with pytest.raises(AlreadyExistsError):
            people.add_app(AppRequest("X", (REDIRECT,), SCOPES, client_id=client_id))


def test_a_sign_in_lasts_its_time_and_until_signed_out(
    people: People, ann: Person, clock: SimulatedClock
) -> None:
    first, second = signs_in(people, ann), signs_in(people, ann)
    signed_in = people.sign_in(first)
    assert signed_in is not None
    assert (signed_in.person, signed_in.signed_in_time_us) == (ann, START_US)
    people.end_sign_in(first)
    assert people.sign_in(first) is None
    clock.advance(CONFIG.sign_in_s - 1)
    assert people.sign_in(second) is not None
    clock.advance(1)
    assert people.sign_in(second) is None
    assert people.sign_in("") is None


def test_a_browser_is_marked_until_the_password_changes(
    open_again: Open, people: People, ann: Person
) -> None:
    mark = people.browser_mark("ANN@example.org ", "b1")
    assert mark == open_again().browser_mark("ann@example.org", "b1")
    people.add_person("bob@example.org", "Bob", "correct horse")
    others = {
        mark,
        people.browser_mark("ann@example.org", "b2"),
        people.browser_mark("bob@example.org", "b1"),
    }
    assert len(others) == 3
    assert people.browser_mark("nobody@example.org", "b1") == ""
    people.set_password("owner", "correct horse")
    assert people.browser_mark("ann@example.org", "b1") != mark


def test_nobody_signs_in_with_a_password_that_was_changed_while_it_was_checked(
    people: People, ann: Person
) -> None:
    mark = people.browser_mark(ann.email, "b1")
    assert people.check_password(ann.email, "correct horse") == ann
    people.set_password("owner", "battery staple")
    assert people.begin_sign_in(ann.id, "b1", mark) == ""
    assert people.begin_sign_in(ann.id, "b2", people.browser_mark(ann.email, "b1")) == ""
    assert people.begin_sign_in(ann.id, "b1", "") == ""
    assert people.begin_sign_in(ann.id + 1, "b1", people.browser_mark(ann.email, "b1")) == ""
    mark = people.browser_mark(ann.email, "b1")
    people.remove_person("owner")
    assert people.begin_sign_in(ann.id, "b1", mark) == ""


def test_a_new_password_ends_sign_ins_and_sessions(people: People, ann: Person, app: App) -> None:
    cookie = signs_in(people, ann)
    session_id, refresh = begin(people, ann, app)
    changes = people.people_changes()
    people.set_password("owner", "battery staple")
    assert people.people_changes() > changes
    assert people.sign_in(cookie) is None
    assert not stands(people, app, session_id)
    assert people.refresh(refresh, app, "NA_") is None
    assert people.check_password("ann@example.org", "correct horse") is None
    assert people.check_password("ann@example.org", "battery staple") == ann
    with pytest.raises(NotFoundError):
        people.set_password("nobody")


def test_a_new_password_ends_codes_that_were_not_exchanged_yet(
    people: People, ann: Person, app: App
) -> None:
    """Whoever sat in the account lets their own app in just before: it must come too late."""
    used = people.issue_code(asked(people, ann, app), "NA_")
    assert people.begin_session(used, app, "NA_") is not None
    unused = people.issue_code(asked(people, ann, app), "NA_")
    people.set_password("owner", "battery staple")
    assert people.code(unused, app) is None
    assert people.begin_session(unused, app, "NA_") is None
    assert people.code(used, app) is None
    assert begin(people, ann, app)[1]  # who knows the new one lets apps in as ever


def test_nothing_is_allowed_in_a_browser_that_was_signed_out_meanwhile(
    people: People, ann: Person, app: App, clock: SimulatedClock
) -> None:
    """The page was asked for before the password was changed, the button comes after."""
    bob, _ = people.add_person("bob@example.org", "Bob")
    late = asked(people, ann, app)
    with pytest.raises(NotFoundError):
        people.issue_code(dataclasses.replace(late, person_id=bob.id), "NA_")
    people.set_password("owner", "battery staple")
    with pytest.raises(NotFoundError):
        people.issue_code(late, "NA_")
    expired = asked(people, ann, app)
    clock.advance(CONFIG.sign_in_s)
    with pytest.raises(NotFoundError):
        people.issue_code(expired, "NA_")
    assert people.grants(ann.id) == []


def test_who_comes_after_a_removed_person_drives_nothing_of_theirs(tmp_path: Path) -> None:
    path, clock = tmp_path / "registry.sqlite", SimulatedClock(START_US)
    registry = EmbeddedRegistry(path, account_key=bytes(32), clock=clock, config=CONFIG)
    (added,) = registry.add_vehicles(["5YJ3E1EA7KF000001"])
    registry.people.add_person("bob@example.org", "Bob", subject="bob")
    code = registry.sharing.invite(added.vehicle.id, "owner").code
    registry.sharing.redeem(code or "", "bob")
    registry.people.remove_person("bob")
    registry.people.add_person("bobby@example.org", "Bobby", subject="bob")
    assert not registry.sharing.drives("bob", added.vehicle.id)
    assert registry.sharing.drivers(added.vehicle.id) == []
    registry.close()


def test_a_guessed_refresh_token_takes_no_lock(
    people: People, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers may send as many as they like: whoever writes must not wait for them."""

    def fail() -> None:
        raise AssertionError("locked")

    store = people._store  # type: ignore[attr-defined]
    monkeypatch.setattr(people, "_store", dataclasses.replace(store, changing=fail))
    assert people.refresh("NA_guess", app, "NA_") is None


def test_a_public_app_keeps_a_redirect_uri(people: People) -> None:
    app, _ = people.add_app(AppRequest("A", (REDIRECT,), SCOPES, confidential=False))
    with pytest.raises(InvalidNameError, match="redirect URI"):
        people.change_app(app.client_id, redirect_uris=(), domain="", public_key_pem="")
    assert people.app(app.client_id) == app


def test_a_removed_person_is_gone_with_their_apps_and_grants(people: People, ann: Person) -> None:
    app, _ = people.add_app(AppRequest("Own", (REDIRECT,), SCOPES), ann.id)
    session_id, _ = begin(people, ann, app)
    assert people.remove_person("ann@example.org") == ann
    assert people.people() == []
    assert people.person("owner") is None
    assert people.check_password("ann@example.org", "correct horse") is None
    assert people.app(app.client_id) is None
    assert not stands(people, app, session_id)
    again, _ = people.add_person("ann@example.org", "Ann", subject="owner")
    assert again.id != ann.id
    assert people.grants(again.id) == []


# Apps.


def test_an_app_is_found_and_its_secret_fits(people: People) -> None:
    app, secret = people.add_app(AppRequest("A", (REDIRECT, REDIRECT), tuple(reversed(SCOPES))))
    other, other_secret = people.add_app(AppRequest("B", (REDIRECT,), SCOPES))
    assert people.app(app.client_id) == app
    assert people.apps() == [app, other]
    assert (app.redirect_uris, app.scopes) == ((REDIRECT,), SCOPES)
    assert people.secret_fits(app, secret)
    assert not people.secret_fits(app, other_secret)
    assert not people.secret_fits(app, "")
    renewed = people.renew_secret(app.client_id)
    assert people.secret_fits(app, renewed)
    assert not people.secret_fits(app, secret)


def test_a_public_app_has_no_secret(people: People) -> None:
    app, secret = people.add_app(
        AppRequest(
            "T", ("tesla://auth/callback",), SCOPES, client_id="ownerapi", confidential=False
        )
    )
    assert (app.client_id, secret, app.confidential) == ("ownerapi", "", False)
    assert not people.secret_fits(app, "")
    with pytest.raises(InvalidNameError):
        people.renew_secret("ownerapi")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": " "}, "name"),
        ({"scopes": ()}, "no scope given"),
        ({"scopes": ("root",)}, "no such scope"),
        ({"scopes": ("metrics",)}, "no such scope"),
        ({"client_id": "a b"}, "client id"),
        ({"domain": "https://app.example"}, "domain"),
        ({"public_key_pem": "no key"}, "public key"),
        ({"redirect_uris": (), "confidential": False}, "redirect URI"),
        *(
            ({"redirect_uris": (uri,)}, "redirect URI")
            for uri in (
                "",
                "/callback",
                "http://app.example/callback",
                "http://localhost.evil.example/",
                "https://user@app.example/",
                "https://app.example/#fragment",
                "https://app.example/a b",
                "https://app.example/\r\nSet-Cookie:x",
                "https://*.example/",
                "https://app.example\\@evil.example/",
                "javascript://app.example/%0aalert(1)",
                "data://text",
                "HTTPS://app.example/",
            )
        ),
    ],
)
def test_apps_that_cannot_be_are_refused(people: People, changes: Any, told: str) -> None:
    wanted = {"name": "A", "redirect_uris": (REDIRECT,), "scopes": SCOPES} | changes
    with pytest.raises(InvalidNameError, match=told):
        people.add_app(AppRequest(**wanted))
    assert people.apps() == []


def test_a_revoked_app_is_refused_and_its_id_stays_taken(
    people: People, ann: Person, app: App
) -> None:
    session_id, refresh = begin(people, ann, app)
    assert people.standing(0, "", app.client_id) == set(SCOPES)
    changes = people.people_changes()
    assert people.revoke_app(app.client_id) == app
    assert people.people_changes() > changes
    assert people.app(app.client_id) is None
    assert people.standing(0, "", app.client_id) is None
    assert not stands(people, app, session_id)
    assert people.refresh(refresh, app, "NA_") is None
    assert people.grants(ann.id) == []
    with pytest.raises(NotFoundError):
        people.revoke_app(app.client_id)
    with pytest.raises(AlreadyExistsError):
        people.add_app(AppRequest("X", (REDIRECT,), SCOPES, client_id=app.client_id))


def test_one_person_registers_so_many_apps_and_no_more(people: People, ann: Person) -> None:
    for _ in range(CONFIG.apps_per_person_max):
        people.add_app(AppRequest("A", (), SCOPES), ann.id)
    with pytest.raises(InvalidNameError, match="100 apps"):
        people.add_app(AppRequest("A", (), SCOPES), ann.id)


# Grants, codes, sessions.


def test_a_code_says_what_was_granted(people: People, ann: Person, app: App) -> None:
    code = people.issue_code(asked(people, ann, app, scopes=SCOPES[:3], challenge="c"), "NA_")
    assert code.startswith("NA_")
    assert len(code) == 46
    kept = people.code(code, app)
    assert kept is not None
    assert (kept.person, kept.scopes, kept.asked) == (ann, SCOPES[:3], SCOPES)
    assert (kept.redirect_uri, kept.challenge, kept.nonce) == (REDIRECT, "c", "n")
    (grant,) = people.grants(ann.id)
    assert (grant.client_id, grant.app_name, grant.scopes) == (
        app.client_id,
        "Charger",
        SCOPES[:3],
    )
    assert (grant.purpose, grant.granted_time_us) == ("Charge cheaply", START_US)


def test_a_code_is_of_one_app_and_one_time(
    people: People, ann: Person, app: App, clock: SimulatedClock
) -> None:
    other, _ = people.add_app(AppRequest("Other", (REDIRECT,), SCOPES))
    code = people.issue_code(asked(people, ann, app), "NA_")
    assert people.code(code, other) is None
    assert people.begin_session(code, other, "NA_") is None
    begun = people.begin_session(code, app, "NA_")
    assert begun is not None
    assert stands(people, app, begun[0].id)
    assert people.code(code, other) is None  # another app's guess ends nothing
    assert stands(people, app, begun[0].id)
    clock.advance(CONFIG.code_s * 2)  # late, too
    assert people.code(code, app) is None
    assert not stands(people, app, begun[0].id)


def test_a_code_exchanged_twice_at_once_ends_its_session(
    people: People, ann: Person, app: App
) -> None:
    code = people.issue_code(asked(people, ann, app), "NA_")
    assert people.code(code, app) is not None
    assert people.code(code, app) is not None
    begun = people.begin_session(code, app, "NA_")
    assert begun is not None
    assert people.begin_session(code, app, "NA_") is None
    assert not stands(people, app, begun[0].id)


def test_a_code_ends(people: People, ann: Person, app: App, clock: SimulatedClock) -> None:
    code = people.issue_code(asked(people, ann, app), "NA_")
    clock.advance(CONFIG.code_s)
    assert people.code(code, app) is None
    assert people.begin_session(code, app, "NA_") is None


def test_without_offline_access_there_is_no_refresh_token(
    people: People, ann: Person, app: App
) -> None:
    assert begin(people, ann, app, scopes=("openid",))[1] == ""


def test_refresh_tokens_rotate_and_the_last_used_one_works_for_a_day(
    people: People, ann: Person, app: App, clock: SimulatedClock
) -> None:
    session_id, first = begin(people, ann, app)
    refreshed = people.refresh(first, app, "NA_")
    assert refreshed is not None
    second = refreshed[1]
    assert second.startswith("NA_")
    assert second != first
    clock.advance(DAY_S - 1)
    again = people.refresh(first, app, "NA_")  # the answer was lost: it asks again
    assert again is not None
    assert again[0].id == session_id
    third = people.refresh(again[1], app, "NA_")
    assert third is not None
    assert stands(people, app, session_id)


@pytest.mark.parametrize("wait_s", [0, DAY_S])
def test_an_older_refresh_token_ends_the_session(
    people: People, ann: Person, app: App, clock: SimulatedClock, wait_s: int
) -> None:
    session_id, first = begin(people, ann, app)
    refreshed = people.refresh(first, app, "NA_")
    assert refreshed is not None
    if not wait_s:  # else it is still the last used one, but too late
        refreshed = people.refresh(refreshed[1], app, "NA_")
        assert refreshed is not None
    clock.advance(wait_s)
    changes = people.people_changes()
    assert people.refresh(first, app, "NA_") is None
    assert people.people_changes() > changes
    assert not stands(people, app, session_id)
    assert people.refresh(refreshed[1], app, "NA_") is None


def test_of_two_that_one_token_brought_the_second_ends_the_session(
    people: People, ann: Person, app: App
) -> None:
    """One of the two is a thief's."""
    session_id, first = begin(people, ann, app)
    one, two = people.refresh(first, app, "NA_"), people.refresh(first, app, "NA_")
    assert one is not None
    assert two is not None
    assert people.refresh(one[1], app, "NA_") is not None
    assert people.refresh(two[1], app, "NA_") is None
    assert not stands(people, app, session_id)


def stored(people: People, table: str) -> int:
    store = people._store  # type: ignore[attr-defined]
    return int(store.rows(f"SELECT count(*) FROM {table}")[0][0])


def test_what_an_app_stores_by_refreshing_has_an_end(
    people: People, ann: Person, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "TURNS_MAX", 10)
    monkeypatch.setattr(grants, "_SWEPT_TURNS", 5)
    session_id, token = begin(people, ann, app)
    tokens = [token]
    for _ in range(40):
        refreshed = people.refresh(tokens[-1], app, "NA_")
        assert refreshed is not None
        tokens.append(refreshed[1])
    assert stored(people, "refresh_tokens") <= 10 + 5 + 1
    assert people.refresh(tokens[0], app, "NA_") is None
    assert stands(people, app, session_id)  # unknown
    assert people.refresh(tokens[-9], app, "NA_") is None
    assert not stands(people, app, session_id)  # known as used


def test_of_one_app_and_person_the_newest_sessions_go_on(
    tmp_path: Path, clock: SimulatedClock
) -> None:
    config = dataclasses.replace(CONFIG, sessions_per_grant_max=3)
    registry = EmbeddedRegistry(
        tmp_path / "registry.sqlite", account_key=bytes(32), clock=clock, config=config
    )
    people = registry.people
    ann, bob = (people.add_person(f"{name}@example.org", name)[0] for name in ("ann", "bob"))
    app = people.add_app(AppRequest("Charger", (REDIRECT,), SCOPES))[0]
    bobs, _ = begin(people, bob, app)
    first, first_token = begin(people, ann, app)
    changes = people.people_changes()
    rest = [begin(people, ann, app)[0] for _ in range(2)]
    assert people.people_changes() == changes
    rest.append(begin(people, ann, app)[0])
    assert people.people_changes() > changes
    assert not stands(people, app, first)
    assert people.refresh(first_token, app, "NA_") is None
    assert all(stands(people, app, session_id) for session_id in (bobs, *rest))
    assert stored(people, "sessions") == 4
    registry.close()


def test_a_refresh_token_is_of_one_app_and_ends(
    people: People, ann: Person, app: App, clock: SimulatedClock
) -> None:
    other, _ = people.add_app(AppRequest("Other", (REDIRECT,), SCOPES))
    session_id, first = begin(people, ann, app)
    assert people.refresh(first, other, "NA_") is None
    assert people.session_of(first, other) is None
    assert people.refresh("NA_" + "x" * 43, app, "NA_") is None
    assert stands(people, app, session_id)
    assert people.session_of(first, app) is not None
    clock.advance(CONFIG.refresh_token_s)
    assert people.session_of(first, app) is None
    assert people.refresh(first, app, "NA_") is None


def test_granting_again_narrows_older_tokens_and_widens_none(
    people: People, ann: Person, app: App
) -> None:
    session_id, refresh = begin(people, ann, app, scopes=SCOPES[:3])
    changes = people.people_changes()
    people.issue_code(asked(people, ann, app, scopes=SCOPES), "NA_")
    assert people.people_changes() == changes
    assert people.standing(session_id, "", app.client_id) == set(SCOPES[:3])
    people.issue_code(asked(people, ann, app, scopes=SCOPES[:2]), "NA_")
    assert people.people_changes() > changes
    assert people.standing(session_id, "", app.client_id) == set(SCOPES[:2])
    refreshed = people.refresh(refresh, app, "NA_")
    assert refreshed is not None
    assert refreshed[0].scopes == SCOPES[:2]
    assert len(people.grants(ann.id)) == 1


def test_revoking_a_grant_ends_its_sessions_and_codes_alone(
    people: People, ann: Person, app: App
) -> None:
    other, _ = people.add_app(AppRequest("Other", (REDIRECT,), SCOPES))
    mine, others = begin(people, ann, app)[0], begin(people, ann, other)[0]
    code = people.issue_code(asked(people, ann, app), "NA_")
    people.revoke_grant(ann.id, app.client_id)
    assert not stands(people, app, mine)
    assert people.code(code, app) is None
    assert stands(people, other, others)
    with pytest.raises(NotFoundError):
        people.revoke_grant(ann.id, app.client_id)
    bob, _ = people.add_person("bob@example.org", "Bob")
    with pytest.raises(NotFoundError):
        people.revoke_grant(bob.id, other.client_id)
    again = begin(people, ann, app)[0]
    assert stands(people, app, again)
    assert not stands(people, app, mine)


def test_a_session_stands_for_its_own_app_alone(people: People, ann: Person, app: App) -> None:
    other, _ = people.add_app(AppRequest("Other", (REDIRECT,), SCOPES))
    session_id, _ = begin(people, ann, app)
    assert stands(people, app, session_id)
    assert not stands(people, other, session_id)
    assert not stands(people, app, session_id + 1)
    people.end_session(session_id)
    assert not stands(people, app, session_id)


def test_one_access_token_can_be_revoked(people: People, ann: Person, app: App) -> None:
    session_id, _ = begin(people, ann, app)
    changes = people.people_changes()
    people.revoke_token("t1", START_US + 60_000_000)
    people.revoke_token("t1", START_US + 60_000_000)
    assert people.people_changes() > changes
    assert not stands(people, app, session_id, "t1")
    assert stands(people, app, session_id, "t2")


def test_use_is_noted_and_changes_nothing(
    people: People, ann: Person, app: App, clock: SimulatedClock
) -> None:
    session_id, _ = begin(people, ann, app)
    changes = people.people_changes()
    clock.advance(60)
    people.used([session_id])
    people.used([])
    assert people.grants(ann.id)[0].used_time_us == START_US + 60_000_000
    assert people.people_changes() == changes


def test_another_process_sees_it_and_it_lasts(open_again: Open) -> None:
    mine, theirs = open_again(), open_again()
    ann, _ = mine.add_person("ann@example.org", "Ann", "correct horse", "owner")
    app, secret = mine.add_app(AppRequest("A", (REDIRECT,), SCOPES))
    session_id, refresh = begin(mine, ann, app)
    assert theirs.person("owner") == ann
    assert theirs.secret_fits(app, secret)
    assert stands(theirs, app, session_id)
    changes = mine.people_changes()
    theirs.revoke_grant(ann.id, app.client_id)
    assert mine.people_changes() > changes
    assert not stands(mine, app, session_id)
    assert mine.refresh(refresh, app, "NA_") is None


def test_no_secret_is_stored(people: People, ann: Person, app: App, tmp_path: Path) -> None:
    cookie = signs_in(people, ann)
    code = people.issue_code(asked(people, ann, app), "NA_")
    begun = people.begin_session(code, app, "NA_")
    assert begun is not None
    _, secret = people.add_app(AppRequest("A", (REDIRECT,), SCOPES))
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        stored = "\n".join(connection.iterdump())
    connection.close()
    for text in (cookie, code, begun[1], secret, "correct horse"):
        assert text not in stored
        assert text.removeprefix("NA_") not in stored
