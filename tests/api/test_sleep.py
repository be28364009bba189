"""A sleeping vehicle at the API: 408 but for `wake_up`, and wake-then-send as one command."""

from collections.abc import Iterator

import httpx
import msgspec
import pytest
from websockets.sync.client import connect

from motorcade.api.presence import presence
from motorcade.state.port import SignalValue, VehicleState
from motorcade.wire.command.messages import Answer, Command
from tests.api.standins import TOKENS, VINS, Platform, bearer, executes, running

CAR = f"/api/1/vehicles/{VINS[0]}"
OFFLINE = "vehicle unavailable: vehicle is offline or asleep"


def state(*, online: bool, asleep: bool | None) -> VehicleState:
    signals = {} if asleep is None else {"asleep": SignalValue(asleep, 5, "")}
    return VehicleState(signals, online, 5)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("sleep"), "commands.response_s_max=2") as platform:
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    platform.live.states[TOKENS[0]] = state(online=True, asleep=True)
    platform.gateway.seen.clear()
    platform.gateway.script = executes
    with httpx.Client(base_url=platform.url, headers=bearer()) as client:
        yield client


@pytest.mark.parametrize(
    ("online", "asleep", "word"),
    [
        (True, None, "online"),
        (True, False, "online"),
        (True, True, "asleep"),
        (False, True, "offline"),
        (False, None, "offline"),
    ],
)
def test_online_asleep_or_offline(online: bool, asleep: bool | None, word: str) -> None:
    assert presence(state(online=online, asleep=asleep)) == word


def test_a_sleeping_vehicle_is_shown_as_such(client: httpx.Client) -> None:
    assert client.get(CAR).json()["response"]["state"] == "asleep"
    assert client.get("/api/1/vehicles").json()["response"][0]["state"] == "asleep"


@pytest.mark.parametrize("path", ["/vehicle_data", "/command/honk_horn"])
def test_a_sleeping_vehicle_answers_408(
    client: httpx.Client, platform: Platform, path: str
) -> None:
    answer = client.get(CAR + path) if "data" in path else client.post(CAR + path)
    assert (answer.status_code, answer.json()["error"]) == (408, OFFLINE)
    assert platform.gateway.seen == []


@pytest.mark.parametrize("path", ["/wake_up", "/command/wake_up"])
def test_wake_up_is_a_command(client: httpx.Client, platform: Platform, path: str) -> None:
    answer = client.post(CAR + path, content="null", headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert [seen.name for seen in platform.gateway.seen] == ["wake_up"]
    assert answer.headers["x-command-id"] == platform.gateway.seen[0].id
    if path == "/wake_up":  # it takes a while: clients ask again
        assert answer.json()["response"]["state"] == "asleep"


def test_who_is_awake_or_away_is_not_called(client: httpx.Client, platform: Platform) -> None:
    for word, online in (("online", True), ("offline", False)):
        platform.live.states[TOKENS[0]] = state(online=online, asleep=False)
        assert client.post(CAR + "/wake_up").json()["response"]["state"] == word
    assert platform.gateway.seen == []


def test_wake_then_send_is_one_command(client: httpx.Client, platform: Platform) -> None:
    answer = client.post(CAR + "/command/honk_horn", headers={"X-Command-Wake": "true"})
    assert answer.json() == {"response": {"result": True, "reason": ""}}
    (seen,) = platform.gateway.seen
    assert (seen.name, seen.wake) == ("honk_horn", True)
    shown = client.get(f"{CAR}/commands/{answer.headers['x-command-id']}").json()["response"]
    assert [step["state"] for step in shown["timeline"]][-1] == "executed"


def test_other_commands_travel_as_before() -> None:
    plain = Command(
        id="1",
        vehicle=TOKENS[0],
        name="honk_horn",
        parameters={},
        counter=1,
        issued_time_us=1,
        expires_time_us=2,
        key_id="k",
    )
    assert b"wake" not in msgspec.json.encode(plain)


def test_the_header_is_true_or_false(client: httpx.Client) -> None:
    answer = client.post(CAR + "/command/honk_horn", headers={"X-Command-Wake": "maybe"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


def falls_asleep(command: Command) -> Answer:
    return Answer(id=command.id, state="refused", reason="vehicle_is_asleep", time_us=1, counter=1)


def test_a_vehicle_that_falls_asleep_meanwhile_answers_408_too(
    client: httpx.Client, platform: Platform
) -> None:
    platform.live.states[TOKENS[0]] = state(online=True, asleep=False)
    platform.gateway.script = falls_asleep
    answer = client.post(CAR + "/command/honk_horn")
    assert (answer.status_code, answer.json()["error"]) == (408, OFFLINE)
    assert answer.json()["command_id"] == platform.gateway.seen[0].id


def test_the_stream_tells_of_sleep(client: httpx.Client, platform: Platform) -> None:
    with connect(
        platform.ws_url + CAR + "/stream", additional_headers=bearer(), proxy=None
    ) as socket:
        snapshot = msgspec.json.decode(socket.recv(5))
        assert snapshot["vehicle"]["state"] == "asleep"
        told = []
        for values in ({"asleep": False}, {"asleep": True}, {"online": False}, {"online": True}):
            platform.live.change(TOKENS[0], **values)
            while (frame := msgspec.json.decode(socket.recv(5)))["type"] != "vehicle":
                pass
            told.append(frame["state"])
    assert told == ["online", "asleep", "offline", "asleep"]
