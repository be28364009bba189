"""Who sees a vehicle and where it is, as admins read it: people, apps, links, what is kept back."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.registry.people.port import AppRequest, CodeRequest, Person, ShareRequest
from tests.api.standins import Platform, running

SCOPES = ("openid", "vehicle_device_data", "vehicle_location")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Olga owns the cars, Dora drives the first, Vera and Otto have roles; two apps, two links."""
    with running(tmp_path_factory.mktemp("consent")) as platform:
        people, sharing = platform.registry.people, platform.registry.sharing
        people.add_first_person("olga@a.example", "Olga Owner", "owner")
        for name, role in (("Dora", ""), ("Vera", "viewer"), ("Otto", "operator"), ("Nick", "")):
            people.add_person(f"{name}@a.example", name, subject=name.lower())
            people.set_role(name.lower(), role)
        code = sharing.invite(1_000, "owner").code
        assert code is not None
        sharing.redeem(code, "dora")
        for client, scopes, subject in (
            ("planner", SCOPES, "owner"),
            ("clock", ("openid",), "owner"),
            ("diary", SCOPES[:2], "dora"),
        ):
            grant(platform, client, scopes, subject)
        end_us = platform.clock.now_us() + 86_400_000_000
        otto = person(platform, "otto")
        for vehicle_id, located in ((1_000, True), (1_001, True), (None, False)):
            people.make_share(ShareRequest(otto.id, "/", vehicle_id, located, end_us))
        platform.registry.privacy.set_grid(1_000, "planner", 500)
        platform.registry.privacy.add_zone(1_000, "home", 60.0, 24.0, 300.0)
        yield platform


def person(platform: Platform, subject: str) -> Person:
    found = platform.registry.people.person(subject)
    assert found is not None
    return found


def grant(platform: Platform, client: str, scopes: tuple[str, ...], subject: str) -> None:
    people, whose = platform.registry.people, person(platform, subject)
    redirect = f"https://{client}.example/back"
    app, _ = people.add_app(AppRequest(client.title(), (redirect,), scopes, client_id=client))
    mark = people.browser_mark(whose.email, "browser")
    sign_in = people.sign_in(people.begin_sign_in(whose.id, "browser", mark))
    assert sign_in is not None
    asked = CodeRequest(whose.id, app.id, scopes, scopes, redirect, "", "", 0, sign_in.id)
    people.issue_code(asked, "NA_")


def ask(platform: Platform, vehicle: int = 1_000, by: str = "owner") -> httpx.Response:
    headers = platform.tokens.page(by, "vehicle_device_data")
    return httpx.get(f"{platform.url}/api/2/vehicles/{vehicle}/consent", headers=headers)


def test_people_by_why_they_see_it_and_whether_they_see_where(platform: Platform) -> None:
    told = ask(platform).json()["response"]
    assert [(each["name"], each["why"], each["location"]) for each in told["people"]] == [
        ("Olga Owner", "owner", True),
        ("Dora", "driver", True),
        ("Vera", "viewer", False),
        ("Otto", "operator", True),
    ]
    assert told["people_count"] == 4


def test_apps_of_the_owner_and_of_drivers_with_their_scopes(platform: Platform) -> None:
    apps = {app["client_id"]: app for app in ask(platform).json()["response"]["apps"]}
    assert apps.keys() == {"planner", "diary"}  # the clock was granted nothing of vehicles
    planner, diary = apps["planner"], apps["diary"]
    assert planner["scopes"] == ["vehicle_device_data", "vehicle_location"]
    assert (planner["location"], planner["grid_m"]) == (True, 500)
    assert (planner["granted_by"], planner["used_us"]) == ("Olga Owner", None)
    assert (diary["location"], diary["granted_by"]) == (False, "Dora")


def test_links_that_show_it_and_what_is_kept_back(platform: Platform) -> None:
    told = ask(platform).json()["response"]
    links = [(link["alone"], link["location"], link["made_by"]) for link in told["links"]]
    assert sorted(links) == [(False, False, "Otto"), (True, True, "Otto")]
    assert (told["zones"], told["grid_m"]) == (1, 0)
    other: dict[str, Any] = ask(platform, 1_002).json()["response"]
    assert [app["client_id"] for app in other["apps"]] == ["planner"]  # nobody drives that one
    assert (len(other["links"]), other["zones"]) == (1, 0)


@pytest.mark.parametrize("subject", ["otto", "vera", "dora", "nick"])
def test_only_admins_read_it(platform: Platform, subject: str) -> None:
    assert ask(platform, by=subject).status_code == 403
