"""A redeemed invitation makes a driver: who sees and does what, and how it ends."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from motorcade.state.port import VehicleState
from tests.api.standins import TOKENS, VINS, Platform, bearer, running

CAR = f"/api/1/vehicles/{VINS[0]}"
OWNER, BOB = bearer("owner"), bearer("bob")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        platform.live.states[TOKENS[0]] = VehicleState({}, True, 5)
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, headers=OWNER) as client:
        yield client


def invite(client: httpx.Client) -> dict[str, object]:
    answer = client.post(f"{CAR}/invitations")
    assert answer.status_code == 200
    return dict(answer.json()["response"])


def share(client: httpx.Client) -> None:
    code = invite(client)["code"]
    answer = client.post("/api/1/invitations/redeem", json={"code": code}, headers=BOB)
    assert answer.json()["response"] == {"vehicle_id_s": "1000", "vin": VINS[0]}


def test_an_invitation_in_teslas_shape(client: httpx.Client) -> None:
    made = invite(client)
    assert made["state"] == "pending"
    assert made["product_id"] == made["vin"] == VINS[0]
    assert made["share_link"] == f"https://www.tesla.com/_rs/1/{made['code']}"
    listed = client.get(f"{CAR}/invitations").json()
    assert listed["response"] == [made]
    assert (listed["count"], listed["pagination"]["per_page"]) == (1, 25)


def test_a_driver_uses_the_vehicle_and_sees_no_other(client: httpx.Client) -> None:
    assert client.get(CAR, headers=BOB).status_code == 404
    assert client.get("/api/1/vehicles", headers=BOB).json()["response"] == []
    share(client)
    assert client.get(CAR, headers=BOB).json()["response"]["access_type"] == "DRIVER"
    listed = client.get("/api/1/vehicles", headers=BOB).json()
    assert [(row["vin"], row["access_type"]) for row in listed["response"]] == [(VINS[0], "DRIVER")]
    assert listed["pagination"]["count"] == 1
    assert client.get(f"{CAR}/vehicle_data", headers=BOB).status_code == 200
    assert client.post(f"{CAR}/command/honk_horn", headers=BOB).json()["response"]["result"]
    # A driver who forgot the PIN asks the owner.
    assert client.post(f"{CAR}/command/clear_pin_to_drive_admin", headers=BOB).status_code == 403
    assert client.get(f"/api/1/vehicles/{VINS[1]}", headers=BOB).status_code == 404
    assert client.get(CAR).json()["response"]["access_type"] == "OWNER"


def test_a_vehicle_of_another_person_is_theirs_alone(
    platform: Platform, client: httpx.Client
) -> None:
    theirs = "5YJ3E1EA7KF000009"
    registry = platform.counter.registry
    registry.add_vehicles([theirs], "bob")
    listed = client.get("/api/1/vehicles", headers=BOB).json()
    assert [(row["vin"], row["access_type"]) for row in listed["response"]] == [(theirs, "OWNER")]
    assert listed["pagination"]["count"] == 1
    assert client.get(f"/api/1/vehicles/{theirs}").status_code == 404  # the first owner
    assert theirs not in client.get("/api/1/vehicles").text
    assert theirs in client.get("/api/1/vehicles", headers=bearer("admin")).text
    shared = client.post(f"/api/1/vehicles/{theirs}/invitations", headers=BOB)
    code = shared.json()["response"]["code"]
    client.post("/api/1/invitations/redeem", json={"code": code})
    rows = client.get("/api/1/vehicles").json()["response"]  # own ones first
    assert [row["access_type"] for row in rows] == ["OWNER"] * 3 + ["DRIVER"]
    page = client.get("/api/1/vehicles?page=2&per_page=2").json()
    assert [row["vin"] for row in page["response"]] == [VINS[2], theirs]
    assert page["pagination"]["count"] == 4


def test_the_link_itself_will_do_as_code(client: httpx.Client) -> None:
    link = invite(client)["share_link"]
    answer = client.post("/api/1/invitations/redeem", json={"code": link}, headers=BOB)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/drivers"),
        ("GET", "/invitations"),
        ("POST", "/invitations"),
        ("POST", "/invitations/1/revoke"),
    ],
)
def test_sharing_on_is_the_owners_alone(client: httpx.Client, method: str, path: str) -> None:
    share(client)
    assert client.request(method, CAR + path, headers=BOB).status_code == 403
    assert client.request(method, CAR + path, headers=bearer("eve")).status_code == 404


def test_the_owner_ends_a_drivers_access_at_once(client: httpx.Client) -> None:
    share(client)
    (driver,) = client.get(f"{CAR}/drivers").json()["response"]
    assert (driver["vault_uuid"], driver["driver_first_name"]) == ("bob", "bob")
    gone = client.delete(f"{CAR}/drivers", params={"share_user_id": driver["user_id"]})
    assert gone.json() == {"response": "ok"}
    assert client.get(CAR, headers=BOB).status_code == 404
    assert client.get(f"{CAR}/drivers").json() == {"response": [], "count": 0}
    again = client.delete(f"{CAR}/drivers", params={"share_user_id": driver["user_id"]})
    assert again.status_code == 404


def test_a_drivers_open_stream_ends_with_their_access(
    client: httpx.Client, platform: Platform
) -> None:
    share(client)
    url = f"{platform.ws_url}{CAR}/stream"
    with (
        connect(url, additional_headers=BOB, proxy=None) as bobs,
        connect(url, additional_headers=OWNER, proxy=None) as owners,
    ):
        bobs.recv(timeout=10)
        owners.recv(timeout=10)
        assert client.delete(f"{CAR}/drivers", headers=BOB).status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            bobs.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        platform.live.change(TOKENS[0], soc=1.0)
        assert "soc" in str(owners.recv(timeout=10))


def test_a_driver_ends_their_own_access_alone(client: httpx.Client) -> None:
    share(client)
    other = client.delete(f"{CAR}/drivers", params={"share_user_id": 77}, headers=BOB)
    assert other.status_code == 403
    assert client.delete(f"{CAR}/drivers", headers=BOB).status_code == 200
    assert client.get(CAR, headers=BOB).status_code == 404


def test_a_person_is_shown_by_name(client: httpx.Client, platform: Platform) -> None:
    platform.registry.people.add_person("b@example.org", "Bob B. Builder", "long enough", "bob")
    share(client)
    (driver,) = client.get(f"{CAR}/drivers").json()["response"]
    assert (driver["driver_first_name"], driver["driver_last_name"]) == ("Bob", "B. Builder")


def test_a_revoked_invitation_is_good_for_nothing(client: httpx.Client) -> None:
    made = invite(client)
    revoke = f"{CAR}/invitations/{made['id']}/revoke"
    assert client.post(revoke).json() == {"response": True}
    assert client.post(revoke).status_code == 404
    redeemed = client.post("/api/1/invitations/redeem", json={"code": made["code"]}, headers=BOB)
    assert redeemed.status_code == 404
    (row,) = client.get(f"{CAR}/invitations").json()["response"]
    assert (row["state"], row["code"], row["share_link"]) == ("revoked", None, None)
    assert row["revoked_at"].startswith("20")


def test_too_many_are_422_with_messages(client: httpx.Client) -> None:
    for _ in range(5):
        invite(client)
    answer = client.post(f"{CAR}/invitations")
    assert answer.status_code == 422
    assert "at most 5" in answer.json()["messages"]["drivers"][0]


@pytest.mark.parametrize("body", [{}, {"code": 1}, {"code": "x" * 201}, {"code": None}])
def test_a_code_that_is_none_is_400(client: httpx.Client, body: dict[str, object]) -> None:
    answer = client.post("/api/1/invitations/redeem", json=body, headers=BOB)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


def test_a_driver_who_was_removed_meanwhile_is_told_so(
    client: httpx.Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    share(client)
    monkeypatch.setattr(platform.registry.sharing, "drivers", lambda _vehicle_id: [])
    answer = client.request("DELETE", f"{CAR}/drivers", headers=BOB)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
