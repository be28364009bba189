"""Vehicles and their data in Tesla's shapes, and who may see what."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motorcade.state.port import SignalValue, VehicleState
from tests.api.standins import TOKENS, VINS, Platform, bearer, running

CAR = f"/api/1/vehicles/{VINS[0]}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("api")) as platform:
        values = {
            "vehicle_speed": 44.704,
            "odometer": 1_609_344.0,
            "battery_level": 80.6,
            "inside_temp": 21.25,
            "gear": "D",
            "detailed_charge_state": 4.0,
            "tpms_pressure_fl": 290_000.0,
            "door_driver_front_open": True,
            "window_driver_front_open": 30.0,
            "locked": False,
            "latitude": 52.5,
            "longitude": 13.4,
            "gps_heading": 90.0,
            "drive_power": 12_345.0,
            "sentry_mode": "SentryModeStateArmed",
        }
        signals = {
            name: SignalValue(value, 1_700_000_000_500_000, "") for name, value in values.items()
        }
        signals["outside_temp"] = SignalValue(None, 1, "degC")
        platform.live.states[TOKENS[0]] = VehicleState(signals, True, 5)
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, headers=bearer()) as client:
        yield client


def test_status_needs_no_token(platform: Platform) -> None:
    answer = httpx.get(f"{platform.url}/status")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_list(client: httpx.Client) -> None:
    body = client.get("/api/1/vehicles").json()
    assert [row["vin"] for row in body["response"]] == list(VINS)
    assert body["count"] == 3
    assert body["pagination"] == {
        "previous": None,
        "next": None,
        "current": 1,
        "per_page": 100,
        "count": 3,
        "pages": 1,
    }


def test_pages_of_the_list(client: httpx.Client) -> None:
    body = client.get("/api/1/vehicles", params={"page": 2, "per_page": 2}).json()
    assert [row["vin"] for row in body["response"]] == [VINS[2]]
    assert body["pagination"]["previous"] == 1
    assert body["pagination"]["next"] is None
    assert (body["pagination"]["pages"], body["count"]) == (2, 1)


@pytest.mark.parametrize("query", ["page=0", "per_page=1001", "per_page=x", "page=-1"])
def test_pages_out_of_range_are_400(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/api/1/vehicles?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


def test_an_entry_has_teslas_members(client: httpx.Client) -> None:
    row = client.get(CAR).json()["response"]
    assert row == {
        "id": 1000,
        "id_s": "1000",
        "vehicle_id": 1000,
        "user_id": 1,
        "vin": VINS[0],
        "display_name": "Car 0",
        "access_type": "OWNER",
        "state": "online",
        "in_service": False,
        "option_codes": None,
        "color": None,
        "granular_access": {"hide_private": False},
        "tokens": [],
        "calendar_enabled": True,
        "api_version": None,
        "command_signing": "off",
    }
    assert client.get("/api/1/vehicles/1000").json()["response"] == row
    assert client.get(f"/api/1/vehicles/{VINS[1]}").json()["response"]["state"] == "offline"


@pytest.mark.parametrize("tag", ["5YJ3E1EA7KF999999", "7", "x", TOKENS[0], "9" * 40, "%F0%9F"])
def test_unknown_tags_are_404(client: httpx.Client, tag: str) -> None:
    answer = client.get(f"/api/1/vehicles/{tag}")
    assert answer.status_code == 404
    body = answer.json()
    assert (body["response"], body["error"]) == (None, "not_found")
    assert body["txid"] == answer.headers["x-txid"]


@pytest.mark.parametrize("content", [b"null", b"", b"{}"])
def test_wake_up_returns_the_entry(client: httpx.Client, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{CAR}/wake_up", content=content, headers=headers)
    assert answer.json()["response"]["state"] == "online"


def test_vehicle_data_is_in_teslas_units(client: httpx.Client) -> None:
    data = client.get(f"{CAR}/vehicle_data").json()["response"]
    assert data["vin"] == VINS[0]
    assert data["drive_state"]["speed"] == 100
    assert data["drive_state"]["shift_state"] == "D"
    assert data["drive_state"]["power"] == 12
    assert data["vehicle_state"]["odometer"] == 1000.0
    assert data["vehicle_state"]["tpms_pressure_fl"] == 2.9
    assert data["vehicle_state"]["df"] == 1
    assert data["vehicle_state"]["pf"] is None
    assert data["vehicle_state"]["sentry_mode"] is True
    assert data["closures_state"]["fd_window"] == 1
    assert data["closures_state"]["locked"] is False
    assert data["charge_state"]["battery_level"] == 81
    assert data["charge_state"]["charging_state"] == "Charging"
    assert data["charge_state"]["timestamp"] == 1_700_000_000_500
    assert data["climate_state"]["inside_temp"] == 21.2
    assert data["climate_state"]["outside_temp"] is None
    assert "location_data" not in data
    assert "latitude" not in data["drive_state"]


def test_sections_asked_for_alone(client: httpx.Client) -> None:
    url = f"{CAR}/vehicle_data?endpoints=charge_state%3Bdrive_state;location_data"
    data = client.get(url).json()["response"]
    assert {"charge_state", "drive_state", "location_data"} <= data.keys()
    assert "climate_state" not in data
    assert data["location_data"]["latitude"] == data["drive_state"]["latitude"] == 52.5
    assert data["location_data"]["heading"] == 90
    assert data["location_data"]["gps_as_of"] == 1_700_000_000


def test_the_location_needs_its_scope(client: httpx.Client) -> None:
    url = f"{CAR}/vehicle_data?endpoints=drive_state;location_data"
    answer = client.get(url, headers=bearer("owner", "vehicle_device_data"))
    assert answer.status_code == 200
    assert "52.5" not in answer.text
    assert "location_data" not in answer.json()["response"]


def test_an_unknown_section_is_400(client: httpx.Client) -> None:
    answer = client.get(f"{CAR}/vehicle_data?endpoints=charge_state;secrets")
    assert answer.status_code == 400
    assert "secrets" in answer.json()["error_description"]


def test_data_of_an_offline_vehicle_is_408(client: httpx.Client) -> None:
    answer = client.get(f"/api/1/vehicles/{VINS[1]}/vehicle_data")
    assert answer.status_code == 408
    assert answer.json()["error"] == "vehicle unavailable: vehicle is offline or asleep"


@pytest.mark.parametrize("header", [None, "Basic x", "Bearer", "Bearer nonsense"])
def test_no_good_token_is_401_without_a_body(client: httpx.Client, header: str | None) -> None:
    request = client.build_request("GET", "/api/1/vehicles")
    del request.headers["authorization"]
    if header is not None:
        request.headers["authorization"] = header
    answer = client.send(request)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_expired_token_says_so(client: httpx.Client) -> None:
    headers = {"Authorization": "Bearer owner:vehicle_device_data:expired"}
    answer = client.get("/api/1/vehicles", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "token expired (401)")


GETS = ("/api/1/vehicles", CAR, f"{CAR}/vehicle_data")


@pytest.mark.parametrize("path", GETS)
def test_device_data_needs_its_scope(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=bearer("owner", "vehicle_cmds"))
    assert answer.status_code == 403
    assert answer.json()["error"] == "Unauthorized missing scopes vehicle_device_data"


@pytest.mark.parametrize(
    ("subject", "count", "status"), [("owner", 3, 200), ("admin", 3, 200), ("mallory", 0, 404)]
)
def test_who_sees_vehicles(client: httpx.Client, subject: str, count: int, status: int) -> None:
    assert client.get("/api/1/vehicles", headers=bearer(subject)).json()["count"] == count
    for path in (*GETS[1:], f"{CAR}/commands", f"{CAR}/commands/x"):
        expected = 404 if path.endswith("/x") else status
        assert client.get(path, headers=bearer(subject)).status_code == expected
    assert client.post(f"{CAR}/wake_up", headers=bearer(subject)).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/1/nothing", 404, "not_found"),
        ("DELETE", "/api/1/vehicles", 405, "method_not_allowed"),
        ("GET", f"{CAR}/command/honk_horn", 405, "method_not_allowed"),
        ("POST", f"{CAR}/vehicle_data", 405, "method_not_allowed"),
    ],
)
def test_wrong_paths_and_methods(
    client: httpx.Client, method: str, path: str, status: int, error: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["txid"] == answer.headers["x-txid"]


def test_a_fault_of_ours_is_500_and_tells_nothing(client: httpx.Client, platform: Platform) -> None:
    original = platform.registry.vehicle_by_vin
    platform.registry.vehicle_by_vin = lambda vin: 1 / 0  # type: ignore[method-assign,assignment]
    try:
        answer = client.get(CAR)
    finally:
        platform.registry.vehicle_by_vin = original  # type: ignore[method-assign]
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert answer.json()["error"] == "internal server error"


def test_the_openapi_document_is_drawn_from_the_types(client: httpx.Client) -> None:
    document = client.get("/schema/openapi.json").json()
    assert "/api/1/vehicles/{tag}/command/{name}" in document["paths"]
    assert "VehicleEntry" in str(document["components"]["schemas"].keys())


def test_transaction_ids_differ(client: httpx.Client) -> None:
    txids = {client.get("/status").headers["x-txid"] for _ in range(5)}
    assert len(txids) == 5


def test_tls_beside_plain(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = _self_signed(tmp_path)
    context.load_cert_chain(certificate)
    with running(tmp_path, tls=context) as platform:
        assert httpx.get(f"{platform.url}/status").text == "ok"
        trust = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=trust) as client:
            assert client.get(f"{platform.tls_url}/status").text == "ok"
            url = f"{platform.tls_url}{CAR}/command/honk_horn"
            assert client.post(url, headers=bearer()).json()["response"]["result"] is True


def _self_signed(directory: Path) -> Path:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, start, start + datetime.timedelta(days=36_500)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    certificate = builder.sign(key, hashes.SHA256())
    path = directory / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
