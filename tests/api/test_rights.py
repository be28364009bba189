"""Every route has its row of rights, every row its route, and every scope opens what it should."""

import os
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from motorcade.api import rights
from motorcade.api.build import build_routes
from motorcade.api.counter import Counter
from motorcade.api.rights import (
    FIELD_RIGHTS,
    RIGHTS,
    RPCS,
    VEHICLE,
    VEHICLE_2,
    Right,
    Token,
    shown_parameters,
)
from motorcade.api.sight import LOCATION_SIGNALS
from motorcade.api.vehicle_data_table import LOCATION_MEMBERS, SECTIONS
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.identity.port import ROLES
from motorcade.identity.scopes import SCOPES
from motorcade.registry.people.port import AppRequest
from motorcade.state.port import VehicleState
from tests.api.standins import TOKENS, VINS, Platform, bearer, fetch, running

PERSON, APP = "owner", "test"  # FakeTokens gives every token the client id `test`
PEOPLE = ("", *ROLES)  # what people may be; each subject is called after it
PARAMETERS = {"tag": VINS[0], "name": "honk_horn"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("commands.response_s_max=0.2",)
    with running(tmp_path_factory.mktemp("rights"), *settings) as platform:
        platform.live.states[TOKENS[0]] = VehicleState({}, True, 5)
        asked = AppRequest("Test", ("https://a.example",), ("openid",), client_id=APP)
        people = platform.registry.people
        people.add_app(asked)
        for role in PEOPLE:
            people.add_person(f"a-{role}@a.example", f"A {role}", subject=f"a-{role}")
            people.set_role(f"a-{role}", role)
        yield platform


def routes() -> set[tuple[str, str]]:
    none: Any = None
    app = build_routes(Counter(Config(), SystemClock(), none, none, none, none, os.urandom))
    found = set()
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            found |= {(method, route.path_format) for method in route.methods}
        else:
            found.add(("WS", route.path_format))
    return {row for row in found if row[0] not in ("HEAD", "OPTIONS")}


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert routes() == set(RIGHTS)


@pytest.mark.parametrize("row", RIGHTS.values(), ids=lambda row: f"{row.method} {row.path}")
def test_rows_name_scopes_that_exist(row: Right) -> None:
    assert set(row.scopes) <= set(SCOPES)
    if row.token in (Token.NONE, Token.SESSION):
        assert not row.scopes


def call(platform: Platform, row: Right, authorization: dict[str, str]) -> httpx.Response:
    path = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS.get(found[1], "1"), row.path)
    if row.method != "WS":
        return fetch(row.method, platform.url + path, headers=authorization)
    try:
        with connect(platform.ws_url + path, additional_headers=authorization, proxy=None):
            return httpx.Response(101)
    except InvalidStatus as error:
        return httpx.Response(error.response.status_code, content=error.response.body)


GUARDED = [row for row in RIGHTS.values() if row.token not in (Token.NONE, Token.SESSION)]
IDS = [f"{row.method} {row.path}" for row in GUARDED]


@pytest.mark.parametrize("row", GUARDED, ids=IDS)
def test_no_guarded_route_answers_without_a_token(platform: Platform, row: Right) -> None:
    assert call(platform, row, {}).status_code == 401


@pytest.mark.parametrize("row", GUARDED, ids=IDS)
def test_each_scope_opens_its_routes_and_no_other(platform: Platform, row: Right) -> None:
    subject = APP if row.token is Token.PARTNER else PERSON
    for scope in SCOPES:
        sign = platform.tokens.page if row.role else bearer
        answer = call(platform, row, sign(subject, scope))
        if row.scopes and scope not in row.scopes:
            assert answer.status_code == 403, scope
            assert answer.json()["error"].startswith("Unauthorized missing scopes"), scope
        elif row.path.endswith(("/nearby_charging_sites", "/fleet/within")):
            assert answer.json()["error"] == "Unauthorized missing scopes vehicle_location", scope
        elif not row.path.endswith("/command/{name}"):
            # /metrics has nothing behind it in these tests: 500 is past the door too
            assert answer.status_code not in (401, 403), (scope, answer.text)


@pytest.mark.parametrize("row", [row for row in GUARDED if row.role], ids=lambda row: row.path)
def test_who_has_less_than_a_routes_role_is_refused_as_is_another_app(
    platform: Platform, row: Right
) -> None:
    for place, role in enumerate(PEOPLE):
        allowed = place > ROLES.index(row.role)
        for sign, opens in ((platform.tokens.page, allowed), (bearer, False)):
            answer = call(platform, row, sign(f"a-{role}", *SCOPES))
            assert (answer.status_code != 403) == opens, (role, answer.text)
            if not opens:
                assert f"the role {row.role}" in answer.json()["error_description"]


@pytest.mark.parametrize("row", GUARDED, ids=IDS)
def test_a_token_of_the_wrong_kind_is_refused(platform: Platform, row: Right) -> None:
    wrong = PERSON if row.token is Token.PARTNER else APP
    if row.token is Token.EITHER:
        return
    answer = call(platform, row, bearer(wrong, *SCOPES))
    text = "Expected partner account" if row.token is Token.PARTNER else "Unauthorized token type"
    assert (answer.status_code, answer.json()["error"]) == (403, text)


@pytest.mark.parametrize("role", PEOPLE)
def test_who_has_a_role_sees_every_vehicle_and_nobody_else_does(
    platform: Platform, role: str
) -> None:
    for row in GUARDED:
        if row.token is not Token.PERSON or row.role:
            continue
        answer = call(platform, row, platform.tokens.page(f"a-{role}", *SCOPES))
        if row.path.startswith((VEHICLE, VEHICLE_2)):
            hidden = answer.status_code == 404 and "or not yours" in answer.text
            assert hidden == (not role) or row.note.startswith("the owner"), (row, answer.text)
        else:
            assert answer.status_code not in (401, 403), (row, answer.text)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_command_goes_by_its_own_scopes(platform: Platform, scope: str) -> None:
    for name, allowed in {
        "honk_horn": {"vehicle_cmds"},
        "charge_stop": {"vehicle_cmds", "vehicle_charging_cmds"},
    }.items():
        url = f"{platform.url}/api/1/vehicles/{VINS[0]}/command/{name}"
        status = httpx.post(url, headers=bearer(PERSON, scope)).status_code
        assert status == (200 if scope in allowed else 403), name


def test_every_row_of_members_belongs_to_a_route() -> None:
    methods = {(row.method, row.path) for row in RPCS}
    for row in FIELD_RIGHTS:
        assert (row.method, row.path) in RIGHTS.keys() | methods
        assert set(row.scopes) <= set(SCOPES)


def test_no_member_of_vehicle_data_without_a_row_shows_a_location_signal() -> None:
    shown = {signal for rows in SECTIONS.values() for row in rows for signal in row.signals}
    assert not shown & LOCATION_SIGNALS
    told = next(row for row in FIELD_RIGHTS if row.path.endswith("/vehicle_data"))
    for member in LOCATION_MEMBERS:
        named = f"drive_state.{member.name}"
        assert any(re.fullmatch(name.replace("*", ".*"), named) for name in told.members), named


@pytest.mark.parametrize(
    ("command", "given", "without_location"),
    [
        ("window_control", {"command": "close", "lat": 1.0, "lon": 2.0}, {"command": "close"}),
        ("navigation_gps_request", {"lat": 1.0, "lon": 2.0, "order": 1}, {}),
        ("navigation_request", {"value": "12 Home Street"}, {}),
        ("set_charge_limit", {"percent": 70}, {"percent": 70}),
        ("upcoming_calendar_entries", {"calendar_data": '{"location":"12 Home Street"}'}, {}),
        ("upcoming_calendar_entries", {"calendar_data": {"location": "12 Home Street"}}, {}),
    ],
)
def test_a_timeline_hides_where_a_car_is_or_goes(
    command: str, given: dict[str, Any], without_location: dict[str, Any]
) -> None:
    assert shown_parameters(command, given, frozenset({rights.DEVICE_DATA})) == without_location
    assert shown_parameters(command, given, frozenset({rights.LOCATION})) == given


def test_the_routes_that_show_commands_hide_them_so(platform: Platform) -> None:
    url = f"{platform.url}/api/1/vehicles/{VINS[0]}"
    body = {"lat": 52.5, "lon": 13.4}
    sent = httpx.post(f"{url}/command/navigation_gps_request", headers=bearer(), json=body)
    command_id = sent.headers["x-command-id"]
    for scopes, told in {
        ("vehicle_device_data",): {},
        ("vehicle_cmds", "vehicle_location"): body,
    }.items():
        for path in (f"/commands/{command_id}", "/commands?count=1"):
            answer = httpx.get(url + path, headers=bearer(PERSON, *scopes)).json()["response"]
            row = answer[0] if isinstance(answer, list) else answer
            assert row["parameters"] == told
