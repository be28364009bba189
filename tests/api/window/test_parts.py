"""What the welcome names is what the routes answer: a page need not try."""

from collections.abc import Iterator
from typing import Any

import pytest

from motorcade.api.rights import RIGHTS
from motorcade.api.window.parts import PARTS
from motorcade.identity.port import ROLES
from tests.api.standins import FakeInside, Platform, fetch
from tests.api.window.fleet import fleet, page

SCOPES = ("vehicle_device_data", "vehicle_location")
PATH_PARAMETERS = {"{tag}": "1000"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("parts")
    with fleet(directory, "rates.data_per_minute=0") as (platform, _):
        inside: Any = FakeInside({})
        platform.counter.inside = inside
        people = platform.registry.people
        for role in ("", *ROLES):
            people.add_person(f"a-{role}@a.example", f"A {role}", subject=f"a-{role}")
            people.set_role(f"a-{role}", role)
        yield platform


def welcomed(platform: Platform, bearer: dict[str, str]) -> set[str]:
    with page(platform, bearer["Authorization"].removeprefix("Bearer ")) as opened:
        opened.until(lambda seen: seen.welcome)
        return set(opened.welcome["parts"])


def refused(platform: Platform, part: str, bearer: dict[str, str]) -> bool:
    method, path = PARTS[part]
    for name, value in PATH_PARAMETERS.items():
        path = path.replace(name, value)
    answer = fetch(method, platform.url + path, headers=bearer)
    assert answer.status_code != 401
    return answer.status_code == 403


@pytest.mark.parametrize("scopes", [SCOPES, SCOPES[:1]], ids=["located", "blind"])
@pytest.mark.parametrize("role", ["", *ROLES])
def test_a_part_is_named_to_whom_its_route_answers(
    platform: Platform, role: str, scopes: tuple[str, ...]
) -> None:
    bearer = platform.tokens.page(f"a-{role}", *scopes)
    answering = {part for part in PARTS if not refused(platform, part, bearer)}
    assert welcomed(platform, bearer) == answering


def test_what_a_deployment_was_not_given_is_not_named(platform: Platform) -> None:
    bearer = platform.tokens.page("owner", *SCOPES)
    before = welcomed(platform, bearer)
    records, inside = platform.counter.records, platform.counter.inside
    platform.counter.records = platform.counter.inside = None
    try:
        assert welcomed(platform, bearer) == before - {"explain", "system"}
    finally:
        platform.counter.records, platform.counter.inside = records, inside


def test_every_part_stands_on_a_route_that_there_is() -> None:
    assert set(PARTS.values()) <= set(RIGHTS)
