"""Whose key a car has, and an app's telemetry configuration: shown, removed, refused."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.events import VehicleToken
from motorcade.meters.readings import News, Readings
from motorcade.registry.people.port import AppRequest
from motorcade.registry.signing.port import PairedKey, SigningState
from motorcade.state.port import SignalValue, VehicleState
from tests.api.standins import TOKENS, VINS, Platform, running
from tests.meters.test_diagnostics import errors

CAR = f"/api/1/vehicles/{VINS[0]}"
CONFIG = {"hostname": "telemetry.example", "port": 443, "fields": {"Soc": {"interval_seconds": 1}}}


def key_of(number: int) -> tuple[str, str]:
    """PEM and point of a key."""
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    form = serialization.PublicFormat.UncompressedPoint
    pem = key.public_bytes(serialization.Encoding.PEM, spki).decode()
    return pem, key.public_bytes(serialization.Encoding.X962, form).hex()


PEM, POINT = key_of(7)
OTHER_PEM, OTHER_POINT = key_of(8)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        version = {"version": SignalValue("2025.2.6", 5, "")}
        platform.live.states[TOKENS[0]] = VehicleState(version, True, 5)
        for name, pem in {"mine": PEM, "other": OTHER_PEM}.items():
            redirects, scopes = ("https://a.example",), ("vehicle_device_data",)
            asked = AppRequest(name, redirects, scopes, "", "", pem, client_id=name)
            platform.registry.people.add_app(asked)
            for bearer in (name, f"{name}-partner"):
                subject = "owner" if bearer == name else name
                platform.bearers[bearer] = f"{subject}:vehicle_device_data"
                platform.tokens.clients[bearer] = name
        platform.bearers["ours"] = "owner:vehicle_device_data"
        platform.tokens.clients["ours"] = "motorcade-cli"
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, headers=as_("mine")) as client:
        yield client


def as_(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"}


def configure(platform: Platform, refusal: str | None = None, client_id: str = "mine") -> None:
    signing = platform.registry.signing
    row = signing.configure(1_000, "a.b.c", json.dumps(CONFIG), POINT, client_id)
    if refusal is not None:
        signing.sync(TOKENS[0], row.version, refusal)


def test_errors_while_streaming_show_to_the_app_whose_configuration_it_is(
    client: httpx.Client, platform: Platform
) -> None:
    news = News()
    rows = (("dial_failed", 9, "no route to host"), ("odd", 8, ""))
    Readings().read([errors(*rows, car=VehicleToken(TOKENS[0]))], news)
    platform.meters.apply(news, b"cursor")
    shown = f"{CAR}/fleet_telemetry_errors"
    assert client.get(shown).json()["response"]["fleet_telemetry_errors"] == []
    configure(platform)
    assert client.get(shown).json()["response"]["fleet_telemetry_errors"] == [
        {"name": "mine", "error": "dial_failed: no route to host", "vin": VINS[0]},
        {"name": "mine", "error": "odd", "vin": VINS[0]},
    ]
    others = client.get(shown, headers=as_("other")).json()["response"]
    assert others["fleet_telemetry_errors"] == []


def test_a_partner_hears_what_the_cars_of_its_configurations_streamed(
    client: httpx.Client, platform: Platform
) -> None:
    news = News()
    for token, name in zip(TOKENS[:2], ("dial_failed", "of another"), strict=True):
        Readings().read([errors((name, 9, "no route"), car=VehicleToken(token))], news)
    platform.meters.apply(news, b"cursor")
    for app, point in (("mine", POINT), ("other", OTHER_POINT)):
        platform.registry.sharing.register(app, f"{app}.example", point)
    partner, url = as_("mine-partner"), "/api/1/partner_accounts/fleet_telemetry_error"
    assert client.get(f"{url}s", headers=partner).json()["response"]["fleet_telemetry_errors"] == []
    configure(platform, refusal="no field Speed2")
    assert client.get(f"{url}s", headers=partner).json()["response"]["fleet_telemetry_errors"] == [
        {"name": "mine", "error": "no field Speed2", "vin": VINS[0]},
        {"name": "mine", "error": "dial_failed: no route", "vin": VINS[0]},
    ]
    assert client.get(f"{url}_vins", headers=partner).json() == {"response": [VINS[0]]}
    assert client.get(f"{url}_vins", headers=as_("other-partner")).json() == {"response": []}
    notes = platform.counter.accesses
    asyncio.run_coroutine_threadsafe(notes.flush(), platform.loop).result(10)
    rows = platform.registry.access_log.accesses(1_000, 9)
    assert {(row.client_id, row.kind, row.times) for row in rows} == {
        ("mine", "fleet_telemetry_errors", 1),  # the one that told of this car
        ("mine", "fleet_telemetry_error_vins", 1),
    }


def test_whose_key_a_car_has(client: httpx.Client, platform: Platform) -> None:
    keys = (PairedKey(0, "04" + "1" * 128, "OWNER", 1), PairedKey(1, POINT, "DRIVER", 9))
    platform.registry.signing.tell({TOKENS[0]: SigningState("required", keys)})
    answer = client.post("/api/1/vehicles/fleet_status", json={"vins": list(VINS[:2])})
    status = answer.json()["response"]
    assert status["key_paired_vins"] == [VINS[0]]
    assert status["unpaired_vins"] == [VINS[1]]
    assert status["vehicle_info"][VINS[0]] == {
        "firmware_version": "2025.2.6",
        "vehicle_command_protocol_required": True,
        "discounted_device_data": False,
        "fleet_telemetry_version": None,
        "total_number_of_keys": 2,
        "safety_screen_streaming_toggle_enabled": None,
    }
    silent = status["vehicle_info"][VINS[1]]
    assert (silent["firmware_version"], silent["total_number_of_keys"]) == (None, 0)
    others = client.post(
        "/api/1/vehicles/fleet_status", json={"vins": [VINS[0]]}, headers=as_("other")
    )
    assert others.json()["response"]["unpaired_vins"] == [VINS[0]]


@pytest.mark.parametrize(
    ("vins", "status"),
    [(None, 400), ("x", 400), ([1], 400), (["x"] * 1_001, 400), (["5YJ3E1EA7KF999999"], 404)],
)
def test_lists_that_cannot_be(client: httpx.Client, vins: object, status: int) -> None:
    answer = client.post("/api/1/vehicles/fleet_status", json={"vins": vins})
    assert answer.status_code == status


def test_a_configuration_is_shown_to_the_app_that_signed_it(
    client: httpx.Client, platform: Platform
) -> None:
    url = f"{CAR}/fleet_telemetry_config"
    none = {"synced": False, "config": None, "limit_reached": False, "key_paired": False}
    assert client.get(url).json()["response"] == none
    configure(platform)
    assert client.get(url).json()["response"] == {**none, "config": CONFIG}
    configure(platform, refusal="")
    assert client.get(url).json()["response"]["synced"] is True
    assert client.get(url, headers=as_("other")).json()["response"] == none
    assert client.get(url, headers=as_("ours")).json()["response"]["config"] == CONFIG


@pytest.mark.parametrize("bearer", ["mine", "mine-partner", "ours"])
def test_a_configuration_is_removed(client: httpx.Client, platform: Platform, bearer: str) -> None:
    url = f"{CAR}/fleet_telemetry_config"
    configure(platform)
    for other in ("other", "other-partner"):
        assert client.delete(url, headers=as_(other)).status_code == 404
    answer = client.delete(url, headers=as_(bearer))
    assert answer.json() == {"response": {"updated_vehicles": 1}}
    assert client.get(url).json()["response"]["config"] is None
    assert client.delete(url, headers=as_(bearer)).status_code == 404
    row = platform.registry.signing.config_of(1_000)
    assert row is not None
    assert (row.token, row.synced) == ("", False)  # the car is told


@pytest.mark.parametrize("brought_by", ["another", ""])
def test_a_registered_foreign_key_shows_and_ends_nothing(
    client: httpx.Client, platform: Platform, brought_by: str
) -> None:
    """Keys are public: `mine` has one registered whose holder configured the car, or somebody did
    before the app was kept."""
    news = News()
    Readings().read([errors(("dial_failed", 9, "no route"), car=VehicleToken(TOKENS[0]))], news)
    platform.meters.apply(news, b"cursor")
    platform.registry.sharing.register("mine", "mine.example", POINT)
    configure(platform, refusal="no field Speed2", client_id=brought_by)
    partner, url = as_("mine-partner"), "/api/1/partner_accounts/fleet_telemetry_error"
    assert client.get(f"{url}s", headers=partner).json()["response"]["fleet_telemetry_errors"] == []
    assert client.get(f"{url}_vins", headers=partner).json() == {"response": []}
    for bearer in ("mine", "mine-partner"):
        answer = client.delete(f"{CAR}/fleet_telemetry_config", headers=as_(bearer))
        assert answer.status_code == 404
    assert client.get(f"{CAR}/fleet_telemetry_config").json()["response"]["config"] is None
    shown = client.get(f"{CAR}/fleet_telemetry_errors").json()["response"]
    assert shown["fleet_telemetry_errors"] == []
    row = platform.registry.signing.config_of(1_000)
    assert row is not None
    assert row.token == "a.b.c"


def test_a_partner_token_reads_no_car(client: httpx.Client, platform: Platform) -> None:
    configure(platform)
    for path in ("/fleet_telemetry_config", "/fleet_telemetry_errors"):
        assert client.get(CAR + path, headers=as_("mine-partner")).status_code == 403


def test_why_a_car_does_not_take_it(client: httpx.Client, platform: Platform) -> None:
    partner, url = as_("mine-partner"), "/api/1/partner_accounts/fleet_telemetry_error"
    assert client.get(f"{url}s", headers=partner).status_code == 412
    platform.registry.sharing.register("mine", "mine.example", POINT)
    configure(platform)
    assert client.get(f"{CAR}/fleet_telemetry_errors").json()["response"] == {
        "fleet_telemetry_errors": []
    }
    assert client.get(f"{url}s", headers=partner).json()["response"]["fleet_telemetry_errors"] == []
    configure(platform, refusal="no field Speed2")
    told = {"name": "mine", "error": "no field Speed2", "vin": VINS[0]}
    for answer in (
        client.get(f"{CAR}/fleet_telemetry_errors"),
        client.get(f"{url}s", headers=partner),
    ):
        assert answer.json()["response"]["fleet_telemetry_errors"] == [told]
    assert client.get(f"{url}_vins", headers=partner).json() == {"response": [VINS[0]]}
    platform.registry.sharing.register("other", "other.example", OTHER_POINT)
    assert client.get(f"{url}_vins", headers=as_("other-partner")).json() == {"response": []}
