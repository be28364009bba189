"""Side data from state and tables, accounts, regions: answers in Tesla's shapes."""

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motorcade.api.charging_places import ChargingPlace, nearby, read_places
from motorcade.api.ground import distance_m
from motorcade.config import ConfigError
from motorcade.events import VehicleToken
from motorcade.meters.readings import News, Readings
from motorcade.registry.people.port import AppRequest
from motorcade.registry.sharing.port import Home
from motorcade.signals.signal import MILE
from motorcade.state.port import SignalValue, VehicleState
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.meters.test_diagnostics import alerts

CAR = f"/api/1/vehicles/{VINS[0]}"
PLACES = read_places(
    b"""[
    {"name": "Mitte", "latitude_deg": 52.5163, "longitude_deg": 13.4022, "stalls": 8, "fast": true},
    {"name": "Nord", "latitude_deg": 52.423, "longitude_deg": 13.048, "stalls": 6, "fast": true},
    {"name": "Hotel", "latitude_deg": 52.52, "longitude_deg": 13.43, "stalls": 3, "fast": false},
    {"name": "Far", "latitude_deg": 48.8387, "longitude_deg": 2.379, "stalls": 9, "fast": true}
    ]""",
    places_max=4,
)
TIME_US = 1_700_000_000_500_000
EU = Home("eu", "https://fleet-api.prd.eu.vn.cloud.tesla.com")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path, "api.residence_s_max=0") as platform:
        tell(platform, latitude=52.52, longitude=13.405, version="2025.2.6", service_mode=0.0)
        yield platform


def tell(platform: Platform, **values: float | str) -> None:
    signals = {name: SignalValue(value, TIME_US, "") for name, value in values.items()}
    platform.live.states[TOKENS[0]] = VehicleState(signals, True, 5)


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    headers = bearer("owner", "vehicle_device_data", "vehicle_location", "user_data")
    with httpx.Client(base_url=platform.url, headers=headers) as client:
        yield client


def test_what_the_car_reports(client: httpx.Client, platform: Platform) -> None:
    notes = client.get(f"{CAR}/release_notes", params={"staged": "false"}).json()["response"]
    assert (notes["deployed_version"], notes["release_notes"]) == ("2025.2.6", [])
    assert client.get(f"{CAR}/service_data").json()["response"] == {}
    assert client.get(f"{CAR}/mobile_enabled").json()["response"]["result"] is True
    tell(platform, service_mode=1.0)
    answer = client.get(f"{CAR}/service_data").json()["response"]
    assert answer == {"service_status": "in_service"}
    assert client.get(f"{CAR}/release_notes").json()["response"]["deployed_version"] is None


def test_recent_alerts_are_those_that_the_car_streamed(
    client: httpx.Client, platform: Platform
) -> None:
    url = f"{CAR}/recent_alerts"
    assert client.get(url).json()["response"] == {"recent_alerts": []}
    news = News()
    rows = (("BMS_a066", 1_616_191_275, 0), ("VCFRONT_a1", 1_616_191_000, 1_616_191_100))
    Readings().read([alerts(*rows, car=VehicleToken(TOKENS[0]))], news)
    platform.meters.apply(news, b"cursor")
    platform.live.states[TOKENS[0]] = VehicleState({}, False, 5)  # away, or asleep
    found = client.get(url).json()["response"]["recent_alerts"]
    assert [alert["name"] for alert in found] == ["BMS_a066", "VCFRONT_a1"]
    assert found[0] == {
        "name": "BMS_a066",
        "time": "2021-03-19T22:01:15.000+00:00",
        "audience": ["customer", "service-fix"],
        "user_text": "",
    }
    assert client.get(url, headers=bearer("eve")).status_code == 404


def test_charging_sites_are_the_operator_s_around_the_car(
    client: httpx.Client, platform: Platform
) -> None:
    url = f"{CAR}/nearby_charging_sites"
    none = client.get(url).json()["response"]
    assert (none["superchargers"], none["destination_charging"]) == ([], [])  # nothing was loaded
    platform.counter.places = PLACES
    sites = client.get(url).json()["response"]
    assert [site["name"] for site in sites["superchargers"]] == ["Mitte", "Nord"]
    assert sites["superchargers"][0]["total_stalls"] == 8
    assert sites["superchargers"][0]["distance_miles"] < 1
    assert [site["type"] for site in sites["destination_charging"]] == ["destination"]
    assert sites["timestamp"] == TIME_US // 1_000
    few = client.get(url, params={"count": 1, "radius": 5}).json()["response"]
    assert [site["name"] for site in few["superchargers"]] == ["Mitte"]
    tell(platform, latitude=0.0, longitude=0.0)
    assert client.get(url).json()["response"]["superchargers"] == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{}", "array"),
        (b"x", "malformed"),
        (b'[{"name": "a"}]', "latitude_deg"),
        (
            b'[{"name":"a","latitude_deg":91,"longitude_deg":0,"stalls":1,"fast":true}]',
            "latitude_deg",
        ),
    ],
)
def test_a_file_of_sites_that_is_wrong_says_why(content: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        read_places(content, places_max=9)


def test_more_sites_than_are_read_end_the_start() -> None:
    place = b'{"name":"a","latitude_deg":1,"longitude_deg":0,"stalls":1,"fast":true}'
    assert len(read_places(b"[%s,%s]" % (place, place), places_max=2)) == 2
    with pytest.raises(ConfigError, match=r"2 places.*at most 1.*charging_sites_max"):
        read_places(b"[%s,%s]" % (place, place), places_max=1)


@pytest.mark.parametrize("here", [(52.5, 13.4), (89.9, 10.0), (-89.9, 170.0), (0.0, 179.9)])
@pytest.mark.parametrize("radius_miles", [1, 50, 500])
def test_places_are_those_within_the_radius(here: tuple[float, float], radius_miles: int) -> None:
    """Those that are left out unmeasured, too: against the distance to each."""
    places = [
        ChargingPlace(
            name=f"{north} {east}", latitude_deg=north, longitude_deg=east, stalls=1, fast=True
        )
        for north in (-89.99, -45.0, -0.5, 0.0, 0.7, 45.0, 52.0, 52.51, 59.0, 89.95)
        for east in (-179.9, -90.0, 0.0, 13.4, 20.0, 179.95)
    ]
    wanted = {
        place.name
        for place in places
        if distance_m(here, (place.latitude_deg, place.longitude_deg)) <= radius_miles * MILE
    }
    found = nearby(places, *here, radius_miles=radius_miles)
    assert {place.name for _, place in found} == wanted
    assert [miles for miles, _ in found] == sorted(miles for miles, _ in found)


def test_charging_sites_need_the_location(client: httpx.Client, platform: Platform) -> None:
    headers = bearer("owner", "vehicle_device_data")
    answer = client.get(f"{CAR}/nearby_charging_sites", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"] == "Unauthorized missing scopes vehicle_location"
    platform.live.states[TOKENS[0]] = VehicleState({}, True, 5)
    assert client.get(f"{CAR}/nearby_charging_sites").status_code == 408
    platform.live.states[TOKENS[0]] = VehicleState({}, False, 5)
    assert "vehicle is offline" in client.get(f"{CAR}/nearby_charging_sites").text


@pytest.mark.parametrize("query", ["count=0", "radius=x", "count=201", "radius=501"])
def test_bounds_out_of_range_are_400(client: httpx.Client, query: str) -> None:
    assert client.get(f"{CAR}/nearby_charging_sites?{query}").status_code == 400


def test_distances_are_those_on_the_globe() -> None:
    north, east = there = PLACES[0].latitude_deg, PLACES[0].longitude_deg
    assert distance_m((north, east), there) == 0
    quarter = distance_m((north - 90, east), there)
    assert quarter == pytest.approx(math.pi / 2 * 6_371_008.8, rel=1e-6)
    assert len(nearby(PLACES, 0, 0, radius_miles=20_000)) == len(PLACES)


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("vehicles/options", {"codes"}),
        ("vehicles/subscriptions/eligibility", {"country", "eligible", "vin"}),
        ("vehicles/upgrades/eligibility", {"country", "eligible", "vin"}),
        ("warranty/details", {"activeWarranty", "upcomingWarranty", "expiredWarranty"}),
    ],
)
def test_nothing_is_for_sale(client: httpx.Client, path: str, members: set[str]) -> None:
    url = f"/api/1/dx/{path}"
    assert client.get(url, params={"vin": VINS[0]}).json()["response"].keys() == members
    assert client.get(url).status_code == 400
    assert client.get(url, params={"vin": "5YJ3E1EA7KF999999"}).status_code == 404
    assert client.get(url, params={"vin": VINS[0]}, headers=bearer("eve")).status_code == 404


def test_lists_of_what_is_not_sold_or_pushed_are_empty(client: httpx.Client) -> None:
    for path in ("users/orders", "vehicle_subscriptions"):
        assert client.get(f"/api/1/{path}").json() == {"response": []}
    config = client.get("/api/1/users/feature_config").json()["response"]
    assert config["signaling"]["enabled"] is False


def test_me(client: httpx.Client, platform: Platform) -> None:
    assert client.get("/api/1/users/me").status_code == 404
    platform.registry.people.add_person("o@example.org", "Olga O.", "long enough", "owner")
    assert client.get("/api/1/users/me").json()["response"] == {
        "email": "o@example.org",
        "full_name": "Olga O.",
        "profile_image_url": None,
        "vault_uuid": "owner",
    }


def test_region_and_whoever_lives_elsewhere(client: httpx.Client, platform: Platform) -> None:
    na = "https://fleet-api.prd.na.vn.cloud.tesla.com"
    here = client.get("/api/1/users/region").json()["response"]
    assert here == {"region": "na", "fleet_api_base_url": na}
    platform.registry.sharing.set_home("owner", EU)
    there = client.get("/api/1/users/region").json()["response"]
    assert there == {"region": "eu", "fleet_api_base_url": EU.base_url}
    for path in (CAR, "/api/1/vehicles", f"{CAR}/vehicle_data", "/api/1/users/me"):
        answer = client.get(path)
        assert answer.status_code == 421, path
        assert answer.json()["error"] == (
            f"user out of region, use base URL: {EU.base_url}, "
            "see https://developer.tesla.com/docs/fleet-api#regional-requirements"
        )
        assert answer.headers["alt-svc"] == f"h2={EU.base_url}"
    answer = client.post(f"{CAR}/command/honk_horn", headers=bearer("owner", "vehicle_cmds"))
    assert answer.status_code == 421
    platform.registry.sharing.set_home("owner", None)
    assert client.get(CAR).status_code == 200


def test_an_app_that_was_never_registered_is_412(client: httpx.Client, platform: Platform) -> None:
    people = platform.registry.people
    developer, _ = people.add_person("d@example.org", "Dora D.", "long enough", "dora")
    redirects, scopes = ("https://app.example/callback",), ("vehicle_device_data",)
    app, _ = people.add_app(AppRequest("Page", redirects, scopes), developer.id)
    platform.bearers["page"] = "owner:vehicle_device_data"
    platform.tokens.clients["page"] = app.client_id
    headers = {"Authorization": "Bearer page"}
    answer = client.get(CAR, headers=headers)
    assert answer.status_code == 412
    assert answer.json() == {
        "error": f"Account {app.client_id} must be registered in the current region "
        "https://fleet-api.prd.na.vn.cloud.tesla.com, please see "
        "https://developer.tesla.com/docs/fleet-api#register"
    }
    assert client.get("/api/1/users/region", headers=headers).status_code == 200
    platform.registry.sharing.register(app.client_id, "app.example", "04")
    assert client.get(CAR, headers=headers).status_code == 200
    ours, _ = people.add_app(AppRequest("Line", redirects, scopes))
    platform.tokens.clients["page"] = ours.client_id
    platform.counter._verified.clear()
    assert client.get(CAR, headers=headers).status_code == 200


def test_keys_have_names(client: httpx.Client) -> None:
    point = "04" + "ab" * 64
    assert client.get("/api/1/users/backup_key").status_code == 404
    given = {"public_key": point, "kind": "mobile_device", "model": "vehicle-command", "name": "k"}
    answer = client.post("/api/1/users/keys", json=given).json()["response"]
    assert answer == {**given, "tag": ""}
    assert client.get("/api/1/users/backup_key").json()["response"] == answer
    for wrong in ({}, {"public_key": "04ab"}, {"public_key": 4}, {**given, "name": 1}):
        assert client.post("/api/1/users/keys", json=wrong).status_code == 400


def test_too_many_named_keys_are_422(client: httpx.Client) -> None:
    for n in range(20):
        point = f"04{n:0128x}"
        assert client.post("/api/1/users/keys", json={"public_key": point}).status_code == 200
    answer = client.post("/api/1/users/keys", json={"public_key": "04" + "f" * 128})
    assert answer.status_code == 422
    assert answer.json()["messages"].keys() == {"public_key"}
