"""Shared links: what they open and nothing else, when they end, and who may make them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from motorcade.api.rights import RIGHTS, Token
from motorcade.api.window.viewers import Close
from motorcade.identity.authority import open_authority
from motorcade.identity.port import SHARE_CLIENT
from motorcade.identity.scopes import SCOPES
from motorcade.identity.tokens import token_authority
from motorcade.registry.audit.port import DeedsAsked
from motorcade.state.embedded import EmbeddedLiveState
from tests.api.oauth.house import claims
from tests.api.standins import TOKENS, VINS, Platform, fetch
from tests.api.window.fleet import fleet, page, tell

SEES = ("vehicle_device_data", "vehicle_location")
MAKERS = ("viewer", "operator", "nobody")
ROUTES = sorted(RIGHTS.values(), key=lambda row: (row.path, row.method))
SHARED = {
    ("WS", "/api/2/fleet/stream"),
    ("GET", "/api/2/fleet/cars"),
    ("GET", "/api/2/fleet/vehicles"),
    ("GET", "/api/2/fleet/timeline"),
    ("GET", "/api/2/vehicles/{tag}"),
    ("GET", "/api/2/vehicles/{tag}/history"),
}


class Shop:
    """A platform whose links bring real tokens."""

    def __init__(self, platform: Platform, live: EmbeddedLiveState, directory: Path) -> None:
        self.platform, self.live, self.url = platform, live, platform.url
        people = platform.registry.people
        people.add_first_person("owner@a.example", "Olga Owner", "owner")
        for subject in MAKERS:
            people.add_person(f"{subject}@a.example", subject.title(), subject=subject)
            people.set_role(subject, "" if subject == "nobody" else subject)
        authority = open_authority(directory, clock=platform.clock)
        self.tokens = token_authority(authority)
        fake = platform.tokens.verify
        platform.tokens.verify = lambda bearer: (  # type: ignore[method-assign]
            self.tokens.verify(bearer) if bearer.startswith("ey") else fake(bearer)
        )
        platform.counter.desk = Tokens(self.tokens)  # type: ignore[assignment]

    def ask(self, method: str, path: str, by: str = "owner", **options: Any) -> httpx.Response:
        scopes = options.pop("scopes", SEES)
        headers = self.platform.tokens.page(by, *scopes)
        return httpx.request(method, self.url + path, headers=headers, timeout=20, **options)

    def make(self, view: str = "/", by: str = "owner", **more: Any) -> dict[str, Any]:
        body = {"view": view, "days": 7, "location": False} | more
        answer = self.ask("POST", "/api/2/shares", by, json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["response"])

    def enter(self, token: str) -> httpx.Response:
        return httpx.post(f"{self.url}/api/2/shares/open", json={"token": token}, timeout=20)

    def opened(self, share: dict[str, Any]) -> str:
        answer = self.enter(token_in(share))
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return str(answer.json()["response"]["access_token"])

    def get(self, path: str, token: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token}"}
        return httpx.get(self.url + path, headers=bearer, timeout=20)

    def listed(self, token: str) -> list[dict[str, Any]]:
        return list(self.get("/api/2/fleet/vehicles", token).json()["response"])


class Tokens:
    """What of the desk a link needs."""

    def __init__(self, tokens: Any) -> None:
        self.tokens = tokens


def token_in(share: dict[str, Any]) -> str:
    return str(share["url"]).rpartition("/s/")[2]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shares")
    settings = ("dashboard.share_viewers_max=2", "api.failed_shares_per_address_per_s=0.001")
    settings += ("rates.data_per_minute=0",)  # a test moves the clock
    with fleet(directory, *settings) as (platform, live):
        for number, token in enumerate(TOKENS[:2]):
            tell(platform, live, token, speed=20.0, latitude=60.0 + number, longitude=24.0)
        yield Shop(platform, live, directory)


def test_a_link_shows_the_fleet_without_positions_or_with(shop: Shop) -> None:
    blind = shop.listed(shop.opened(shop.make("/?state=moving")))
    assert [row["id"] for row in blind] == ["1000", "1001", "1002"]
    assert {row["lon"] for row in blind} == {None}
    seeing = shop.listed(shop.opened(shop.make(location=True)))
    assert [row["lat"] for row in seeing] == [60.0, 61.0, None]


def test_a_link_to_a_vehicle_shows_that_one_alone(shop: Shop) -> None:
    share = shop.make("/vehicles/1000?tab=signals", location=True)
    token = shop.opened(share)
    assert [row["id"] for row in shop.listed(token)] == ["1000"]
    assert shop.get("/api/2/vehicles/1000", token).status_code == 200
    assert shop.get("/api/2/vehicles/1001", token).status_code == 404
    assert shop.get(f"/api/2/vehicles/{VINS[0]}", token).status_code == 404  # nor by its VIN
    assert shop.get("/api/2/vehicles/1001/history", token).status_code == 404
    named = shop.get("/api/2/fleet/cars?slots=0,1", token).json()["response"]
    assert [row["id"] for row in named] == ["1000"]
    with page(shop.platform, token) as seen:
        seen.view()
        seen.until(lambda page: page.counts and page.cars)
        assert seen.welcome["role"] == "share"
        assert seen.welcome["rights"] == {"location": True, "commands": False, "people": False}
        assert (seen.counts["total"], list(seen.cars)) == (1, [0])


def test_no_answer_to_a_link_has_a_vin(shop: Shop) -> None:
    token = shop.opened(shop.make(location=True))
    for path in ("/fleet/vehicles", "/fleet/cars?slots=0,1", "/vehicles/1000"):
        assert VINS[0] not in shop.get(f"/api/2{path}", token).text
    assert shop.get(f"/api/2/fleet/vehicles?q={VINS[0][-6:]}", token).json()["response"] == []


def test_no_token_of_a_link_opens_a_route_outside_of_its_list(shop: Shop) -> None:
    """Whatever its scopes say, and for its own vehicle too."""
    assert {(row.method, row.path) for row in ROUTES if row.shared} == SHARED
    share = shop.make(location=True)
    token = shop.tokens.mint(
        f"{SHARE_CLIENT}:{share['id']}",
        SCOPES,
        ttl_s=600,
        client_id=SHARE_CLIENT,
        further={"sid": int(share["id"]), "veh": 0},
    )
    held = {"Authorization": f"Bearer {token}"}
    given = {"tag": "1000", "name": "honk_horn"}
    for row in ROUTES:
        if row.token in (Token.NONE, Token.SESSION):
            continue
        path = re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], "1"), row.path)
        if row.method == "WS":
            with pytest.raises(InvalidStatus) as refused:
                connect(shop.platform.ws_url + path, additional_headers=held, proxy=None)
            status = refused.value.response.status_code
        else:
            status = fetch(row.method, shop.url + path, headers=held).status_code
        assert (status == 403) == (not row.shared), (row.method, row.path, status)
    commands = shop.platform.gateway.seen
    assert [command for command in commands if command.name == "honk_horn"] == []


def test_a_link_that_is_ended_opens_nothing_and_its_stream_ends(shop: Shop) -> None:
    share = shop.make()
    token = shop.opened(share)
    with page(shop.platform, token) as seen:
        seen.hear()
        assert shop.ask("DELETE", f"/api/2/shares/{share['id']}").status_code == 200
        with pytest.raises(ConnectionClosed) as ended:
            seen.drain()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == Close.ENDED
    assert shop.get("/api/2/fleet/vehicles", token).status_code == 401
    assert shop.enter(token_in(share)).status_code == 404
    assert shop.ask("DELETE", f"/api/2/shares/{share['id']}").status_code == 404


def test_a_link_ends_by_its_date(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    share = shop.make(days=1)
    token = shop.opened(share)
    assert claims(token)["exp"] - claims(token)["iat"] == 900
    clock = shop.platform.clock
    ends_us, now_us = share["ends_us"], clock.now_us
    with monkeypatch.context() as later:
        later.setattr(type(clock), "now_us", lambda _: ends_us - 10_500_000)
        assert 0 < shop.enter(token_in(share)).json()["response"]["expires_in"] <= 10
        later.setattr(type(clock), "now_us", lambda _: ends_us)
        assert shop.enter(token_in(share)).status_code == 404
        assert shop.get("/api/2/fleet/vehicles", token).status_code == 401
        assert share["id"] not in [row["id"] for row in shares(shop)]
    assert now_us() < ends_us


def shares(shop: Shop, by: str = "owner") -> list[dict[str, Any]]:
    answer = shop.ask("GET", "/api/2/shares", by, params={"limit": 500})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["response"])


def test_a_link_never_shows_more_than_its_maker_may_see(shop: Shop) -> None:
    people = shop.platform.registry.people
    share = shop.make(by="operator", location=True)
    token = shop.opened(share)
    try:
        with page(shop.platform, token) as seen:
            seen.hear()
            role = f"{shop.url}/api/2/people/operator/role"
            admin = shop.platform.tokens.page("owner", *SEES)
            assert httpx.post(role, json={"role": "viewer"}, headers=admin).status_code == 200
            with pytest.raises(ConnectionClosed):
                seen.drain()
        again = shop.enter(token_in(share)).json()["response"]
        assert again["location"] is False
        assert {row["lon"] for row in shop.listed(again["access_token"])} == {None}
        people.set_role("operator", "")
        assert shop.enter(token_in(share)).status_code == 404
        assert shop.get("/api/2/fleet/vehicles", again["access_token"]).status_code == 401
    finally:
        people.set_role("operator", "operator")
    assert shop.enter(token_in(share)).status_code == 404  # the role came back, the link does not


def test_who_may_make_which(shop: Shop) -> None:
    def status(by: str, scopes: tuple[str, ...] = SEES, **more: Any) -> int:
        body = {"view": "/", "days": 1} | more
        return shop.ask("POST", "/api/2/shares", by, json=body, scopes=scopes).status_code

    assert status("nobody") == 403
    assert status("viewer", SEES[:1]) == 200
    assert status("viewer", SEES[:1], location=True) == 403  # what they do not see themselves
    assert status("admin") == 403  # the command line's token: nobody who could lose a role
    assert status("owner", view="/vehicles/9999") == 404


@pytest.mark.parametrize(
    "more",
    [
        *({"view": view} for view in ("", "x", "/work", "//evil.example/", "https://e.example/")),
        *({"view": view} for view in ("/vehicles/", "/vehicles/a", f"/vehicles/{VINS[0]}", "/?\n")),
        *({"days": days} for days in (0, 91, 1.5, True, "7", None)),
        {"location": "yes"},
    ],
)
def test_a_link_that_cannot_be_is_refused(shop: Shop, more: dict[str, Any]) -> None:
    body = {"view": "/", "days": 7} | more
    assert shop.ask("POST", "/api/2/shares", json=body).status_code == 400


def test_each_reads_and_ends_their_own_and_admins_all(shop: Shop) -> None:
    theirs = shop.make(by="viewer")
    mine = shop.make()
    assert mine["id"] not in [row["id"] for row in shares(shop, "viewer")]
    assert {row["made_by"] for row in shares(shop, "viewer")} == {"Viewer"}
    assert {theirs["id"], mine["id"]} <= {row["id"] for row in shares(shop)}
    assert "url" not in shares(shop)[0]
    assert shop.ask("DELETE", f"/api/2/shares/{mine['id']}", "viewer").status_code == 404
    assert shop.ask("DELETE", f"/api/2/shares/{theirs['id']}").status_code == 200


def test_links_and_their_viewers_have_limits(shop: Shop) -> None:
    token = shop.opened(shop.make())
    with page(shop.platform, token) as first, page(shop.platform, token) as second:
        assert (first.hear(), second.hear()) == ("welcome", "welcome")
        with page(shop.platform, token) as third, pytest.raises(ConnectionClosed) as ended:
            third.hear()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == Close.FULL
        with page(shop.platform, shop.opened(shop.make())) as other:  # others are not crowded out
            assert other.hear() == "welcome"
    most = shop.platform.config.registry.shares_per_person_max
    body = {"view": "/", "days": 1}
    made = [shop.ask("POST", "/api/2/shares", "viewer", json=body) for _ in range(most + 1)]
    assert (made[-1].status_code, "end one" in made[-1].text) == (422, True)


def test_deeds_have_rows_and_no_secret_is_kept(shop: Shop) -> None:
    share = shop.make("/vehicles/1000?q=secret", location=True)
    shop.ask("DELETE", f"/api/2/shares/{share['id']}")
    ended, made = shop.platform.registry.audit.deeds(DeedsAsked(limit=2))
    assert (made.what, ended.what) == ("made_share", "ended_share")
    assert made.text == f"link {share['id']} to /vehicles/1000, with positions"
    assert (made.name, made.vehicle_id) == ("Olga Owner", 1000)
    token, directory = token_in(shop.make()).encode(), shop.platform.registry._path.parent
    kept = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in kept if token in path.read_bytes()] == []


def test_the_address_leaks_by_no_referrer(shop: Shop) -> None:
    for path in ("/s/secret", "/s/secret/vehicles/1000"):
        answer = httpx.get(shop.url + path)
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_guesses_are_counted_by_address(shop: Shop) -> None:
    good = token_in(shop.make())
    statuses = [shop.enter(f"guess{number}").status_code for number in range(30)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert shop.enter(good).status_code == 429  # an answer is what a guesser wants
    assert urlsplit(shop.make()["url"]).path.startswith("/s/")
