"""Commands over HTTP: every way they end, what is refused, and the keys that make repeats safe."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from motorcade.wire.command.messages import Answer, Command
from tests.api.standins import ALL_SCOPES, VINS, Platform, bearer, executes, running

CAR = f"/api/1/vehicles/{VINS[0]}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("api"), "commands.response_s_max=0.4") as platform:
        yield platform


@pytest.fixture
def platform(shared: Platform) -> Platform:
    """The shared platform with a gateway that has seen nothing and a car that executes."""
    shared.gateway.script, shared.gateway.online = executes, True
    shared.gateway.seen, shared.gateway.waiting = [], []
    return shared


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, headers=bearer()) as client:
        yield client


def test_an_executed_command(platform: Platform, client: httpx.Client) -> None:
    answer = client.post(f"{CAR}/command/set_charge_limit", json={"percent": 80})
    assert answer.status_code == 200
    assert answer.json() == {"response": {"result": True, "reason": ""}}
    assert platform.gateway.seen[0].parameters == {"percent": 80}
    command_id = answer.headers["x-command-id"]
    shown = client.get(f"{CAR}/commands/{command_id}").json()["response"]
    assert [step["state"] for step in shown["timeline"]] == ["requested", "handed_over", "executed"]
    assert (shown["state"], shown["final"], shown["name"]) == ("executed", True, "set_charge_limit")


def test_a_refused_command_is_200_with_the_reason(platform: Platform, client: httpx.Client) -> None:
    platform.gateway.script = lambda command: Answer(
        id=command.id, state="refused", reason="driving"
    )
    answer = client.post(f"{CAR}/command/door_unlock")
    assert answer.status_code == 200
    assert answer.json() == {"response": {"result": False, "reason": "driving"}}


def test_an_undelivered_command_is_408_and_expired(
    platform: Platform, client: httpx.Client
) -> None:
    platform.gateway.online = False
    platform.gateway.script = lambda command: None
    with httpx.Client(base_url=platform.url, headers=bearer(), timeout=10) as slow:
        answer = slow.post(f"{CAR}/command/honk_horn", headers={"X-Command-Expires-S": "1"})
    assert answer.status_code == 408
    assert answer.json()["error"] == "vehicle unavailable: vehicle is offline or asleep"
    assert answer.json()["txid"] == answer.headers["x-txid"]
    command_id = answer.json()["command_id"]
    assert answer.headers["x-command-id"] == command_id
    platform.call(platform.gateway.expire)
    view = _wait_final(client, command_id)
    assert (view["state"], view["reason"]) == ("expired", "vehicle_offline")


def test_an_unanswered_command_is_408_with_its_id(platform: Platform, client: httpx.Client) -> None:
    platform.gateway.script = lambda command: None
    answer = client.post(f"{CAR}/command/honk_horn")
    assert answer.status_code == 408
    assert "vehicle is offline" not in answer.text
    command = platform.gateway.seen[0]
    assert answer.json()["command_id"] == command.id
    platform.call(platform.gateway.send, command.vehicle, Answer(id=command.id, state="executed"))
    assert _wait_final(client, command.id)["state"] == "executed"


def test_a_repeated_key_is_one_command(platform: Platform, client: httpx.Client) -> None:
    answers = [
        client.post(f"{CAR}/command/honk_horn", headers={"Idempotency-Key": "k-1"})
        for _ in range(3)
    ]
    assert {answer.headers["x-command-id"] for answer in answers} == {platform.gateway.seen[0].id}
    assert {answer.status_code for answer in answers} == {200}
    assert len(platform.gateway.seen) == 1


def test_a_key_for_another_request_is_422(platform: Platform, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k-2"}
    client.post(f"{CAR}/command/set_charge_limit", json={"percent": 80}, headers=headers)
    answer = client.post(f"{CAR}/command/set_charge_limit", json={"percent": 81}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["messages"] == {"Idempotency-Key": [answer.json()["error_description"]]}
    other = client.post(f"{CAR}/command/honk_horn", headers=headers | bearer("admin"))
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("no_such_command", {}, "invalid_command"),
        ("set_charge_limit", {}, "invalid_field"),
        ("set_charge_limit", {"percent": 49}, "invalid_field"),
        ("set_charge_limit", {"percent": "80"}, "invalid_field"),
        ("set_charge_limit", {"percent": True}, "invalid_field"),
        ("set_charge_limit", {"percent": 80.5}, "invalid_field"),
        ("actuate_trunk", {"which_trunk": "side"}, "invalid_field"),
        ("navigation_gps_request", {"lat": 91, "lon": 0}, "invalid_field"),
    ],
)
def test_what_the_table_does_not_allow_is_400(
    client: httpx.Client, name: str, body: dict[str, object], error: str
) -> None:
    answer = client.post(f"{CAR}/command/{name}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["response"] is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "x" * 65},
        {"Idempotency-Key": "with space"},
        {"Idempotency-Key": ""},
        {"X-Command-Expires-S": "0"},
        {"X-Command-Expires-S": "301"},
        {"X-Command-Expires-S": "soon"},
    ],
)
def test_headers_out_of_range_are_400(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post(f"{CAR}/command/honk_horn", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"null", "application/json", 200),
        (b"", "", 200),
        (b"{}", "application/json; charset=utf-8", 200),
        (b"{}", "text/plain", 406),
        (b"percent=80", "application/x-www-form-urlencoded", 406),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b" " * (2 << 20) + b"{}", "application/json", 413),
    ],
)
def test_bodies(client: httpx.Client, content: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post(f"{CAR}/command/honk_horn", content=content, headers=headers)
    assert answer.status_code == status


def test_more_commands_under_way_than_allowed_are_429(tmp_path: Path) -> None:
    settings = ("commands.response_s_max=0.05", "commands.in_flight_per_vehicle_max=2")
    with running(tmp_path, *settings) as platform:
        platform.gateway.script = lambda command: None
        with httpx.Client(base_url=platform.url, headers=bearer()) as client:
            answers = [client.post(f"{CAR}/command/honk_horn") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [408, 408, 429]
    assert answers[2].json()["error"] == "Retry in 1 seconds"
    assert answers[2].headers["retry-after"] == answers[2].headers["ratelimit-reset"] == "1"


def test_a_full_disk_takes_no_new_command_and_still_answers_for_old_ones(
    platform: Platform, client: httpx.Client
) -> None:
    known = {"Idempotency-Key": "known"}
    before = client.post(f"{CAR}/command/honk_horn", headers=known)
    platform.has_room = False
    try:
        refused = client.post(f"{CAR}/command/honk_horn")
        repeated = client.post(f"{CAR}/command/honk_horn", headers=known)
    finally:
        platform.has_room = True
    assert (refused.status_code, refused.json()["error"]) == (507, "insufficient storage")
    assert "disk is full" in refused.json()["error_description"]
    assert refused.headers["retry-after"] == "30"
    assert repeated.headers["x-command-id"] == before.headers["x-command-id"]


def test_a_router_that_cannot_take_more_is_503(platform: Platform, client: httpx.Client) -> None:
    while platform.runner._flushing is not None:  # what the test before left would end it
        time.sleep(0.005)
    platform.runner._busy = True
    try:
        answer = client.post(f"{CAR}/command/honk_horn")
    finally:
        platform.runner._busy = False
    assert (answer.status_code, answer.json()["error"]) == (503, "service unavailable")
    assert answer.headers["retry-after"] == "1"
    assert platform.gateway.seen == []


@pytest.mark.parametrize(
    ("name", "body", "scopes", "status"),
    [
        ("charge_start", {}, ("vehicle_charging_cmds",), 200),
        ("charge_start", {}, ("vehicle_cmds",), 200),
        ("door_lock", {}, ("vehicle_charging_cmds",), 403),
        ("door_lock", {}, ("vehicle_device_data",), 403),
    ],
)
def test_scopes(
    client: httpx.Client, name: str, body: dict[str, object], scopes: tuple[str, ...], status: int
) -> None:
    answer = client.post(f"{CAR}/command/{name}", json=body, headers=bearer("owner", *scopes))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"] == "Unauthorized missing scopes vehicle_cmds"


def test_recent_commands_newest_first(client: httpx.Client) -> None:
    for name in ("door_lock", "honk_horn", "flash_lights"):
        client.post(f"{CAR}/command/{name}")
    listed = client.get(f"{CAR}/commands", params={"count": 2}).json()["response"]
    assert [view["name"] for view in listed] == ["flash_lights", "honk_horn"]


def test_a_command_is_found_under_its_own_vehicle_only(client: httpx.Client) -> None:
    command_id = client.post(f"{CAR}/command/honk_horn").headers["x-command-id"]
    for tag, found in ((VINS[1], "absent"), (VINS[0], command_id)):
        answer = client.get(f"/api/1/vehicles/{tag}/commands/{command_id}")
        assert answer.status_code == (200 if found == command_id else 404)
    stranger = client.get(f"{CAR}/commands/{command_id}", headers=bearer("mallory", *ALL_SCOPES))
    assert stranger.status_code == 404


def test_keys_timelines_and_counters_outlive_a_restart(tmp_path: Path) -> None:
    seen: list[Command] = []
    ids = []
    for _ in range(2):
        with running(tmp_path) as platform, httpx.Client(base_url=platform.url) as client:
            client.headers.update(bearer())
            answer = client.post(f"{CAR}/command/honk_horn", headers={"Idempotency-Key": "same"})
            ids.append(answer.headers["x-command-id"])
            client.post(f"{CAR}/command/flash_lights")
            seen += platform.gateway.seen
            names = [v["name"] for v in client.get(f"{CAR}/commands").json()["response"]]
    assert ids[0] == ids[1]
    assert names == ["flash_lights", "flash_lights", "honk_horn"]
    counters = [command.counter for command in seen]
    assert counters == sorted(set(counters))


def test_a_stopping_server_answers_what_was_asked(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        with running(tmp_path, "commands.response_s_max=0.5") as platform:
            platform.gateway.script = lambda command: None
            url = f"{platform.url}{CAR}/command/honk_horn"
            asked = pool.submit(httpx.post, url, headers=bearer())
            while not platform.gateway.seen:
                platform.call(platform.gateway.poll)
        answer = asked.result(10)
    assert answer.status_code == 408
    assert answer.json()["command_id"] == platform.gateway.seen[0].id


def _wait_final(client: httpx.Client, command_id: str) -> dict[str, object]:
    for _ in range(1_000):
        view: dict[str, object] = client.get(f"{CAR}/commands/{command_id}").json()["response"]
        if view["final"]:
            return view
    raise AssertionError(f"{command_id} is still {view['state']}")
