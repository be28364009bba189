"""People and their roles over the API: who may, what it changes, and how soon."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from motorcade.api.window.viewers import Close
from tests.api.standins import Platform
from tests.api.window.fleet import fleet, page, token_of

SEES = ("vehicle_device_data",)
BOB, ANN = "bob", "ann"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with fleet(tmp_path_factory.mktemp("people")) as (platform, _):
        people = platform.registry.people
        people.add_first_person("owner@a.example", "Olga Owner", "owner")
        for subject in (BOB, ANN):
            people.add_person(f"{subject}@a.example", subject.title(), subject=subject)
        people.set_role(ANN, "admin")
        yield platform


def people(platform: Platform, **query: int | str) -> Any:
    url = f"{platform.url}/api/2/people"
    answer = httpx.get(url, params=query, headers=platform.tokens.page("owner", *SEES))
    assert answer.status_code == 200, answer.text
    return answer.json()


def give(platform: Platform, subject: str, role: Any, by: str = "owner") -> httpx.Response:
    url = f"{platform.url}/api/2/people/{subject}/role"
    return httpx.post(url, json={"role": role}, headers=platform.tokens.page(by, *SEES))


def test_everybody_is_listed_in_pieces(platform: Platform) -> None:
    first = people(platform, limit=2)
    rest = people(platform, limit=2, cursor=first["cursor"])
    listed = first["response"] + rest["response"]
    assert [row["subject"] for row in listed] == ["owner", BOB, ANN]
    assert listed[0] == {
        "subject": "owner",
        "name": "Olga Owner",
        "email": "owner@a.example",
        "role": "admin",  # without anybody's having given it
    }
    assert (first["cursor"] is None, rest["cursor"]) == (False, None)


def test_a_role_given_lasts_and_can_be_taken(platform: Platform) -> None:
    for role in ("viewer", "operator", None):
        answer = give(platform, BOB, role, by=ANN)
        assert (answer.status_code, answer.json()["response"]["role"]) == (200, role)
        assert platform.registry.people.role(BOB) == (role or "")


@pytest.mark.parametrize("role", ["king", "", 5, ["admin"]])
def test_what_is_no_role_is_refused(platform: Platform, role: Any) -> None:
    answer = give(platform, BOB, role)
    assert (answer.status_code, "viewer, operator, admin" in answer.text) == (400, True)
    url = f"{platform.url}/api/2/people/{BOB}/role"
    assert httpx.post(url, json={}, headers=platform.tokens.page("owner", *SEES)).status_code == 400


def test_nobody_gets_no_role(platform: Platform) -> None:
    assert give(platform, "carl", "viewer").status_code == 404


def test_the_owner_and_the_last_admin_stay(platform: Platform) -> None:
    answer = give(platform, "owner", "viewer", by=ANN)
    assert (answer.status_code, answer.json()["error"]) == (422, "last admin")
    assert "owner" in answer.json()["error_description"]


def test_without_an_owner_the_last_admin_stays(tmp_path: Path) -> None:
    with fleet(tmp_path) as (platform, _):
        people = platform.registry.people
        for subject in (BOB, ANN):
            people.add_person(f"{subject}@a.example", subject.title(), subject=subject)
            people.set_role(subject, "admin")
        assert give(platform, ANN, None, by=ANN).status_code == 200  # Bob is one still
        answer = give(platform, BOB, "operator", by=BOB)
        assert (answer.status_code, "last admin" in answer.text) == (422, True)
        assert people.role(BOB) == "admin"
        people.remove_person(ANN)


def test_a_role_that_goes_ends_the_open_stream_and_what_it_showed(platform: Platform) -> None:
    assert give(platform, BOB, "viewer").status_code == 200
    car = f"{platform.url}/api/2/vehicles/1000"
    headers = platform.tokens.page(BOB, *SEES)
    assert httpx.get(car, headers=headers).status_code == 200
    with page(platform, token_of(BOB, *SEES) + ":page") as seen:
        seen.hear()
        assert seen.welcome["role"] == "viewer"
        give(platform, ANN, "admin")  # another's change ends nothing of Bob's
        seen.view()
        seen.until(lambda page: page.counts)
        assert give(platform, BOB, None).status_code == 200
        with pytest.raises(ConnectionClosed) as ended:
            seen.drain()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == Close.ENDED
    assert httpx.get(car, headers=headers).status_code == 404
    with page(platform, token_of(BOB, *SEES) + ":page") as seen:
        seen.hear()
        assert seen.welcome["role"] == ""


def test_another_process_takes_a_role(platform: Platform) -> None:
    assert give(platform, BOB, "viewer").status_code == 200
    standing = platform.counter.standing
    platform.call(standing.start)
    try:
        with page(platform, token_of(BOB, *SEES) + ":page") as seen:
            seen.hear()
            platform.registry.people.set_role(BOB, "operator")  # as the command line does
            with pytest.raises(ConnectionClosed):
                seen.drain()
    finally:
        asyncio.run_coroutine_threadsafe(standing.stop(), platform.loop).result(10)
