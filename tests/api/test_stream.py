"""The app's WebSocket: snapshot, changes, commands; scopes, slow clients, and how it ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from motorcade.state.port import VehicleState
from tests.api.standins import ALL_SCOPES, TOKENS, VINS, Platform, bearer, members, running

PATH = f"/api/1/vehicles/{VINS[0]}/stream"
TOKEN = f"owner:{'+'.join(ALL_SCOPES)}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("api.stream_queue_changes_max=50", "api.streams_max=3")
    with running(tmp_path_factory.mktemp("stream"), *settings) as platform:
        yield platform


@pytest.fixture(autouse=True)
def empty_car(platform: Platform) -> None:
    platform.live.states[TOKENS[0]] = VehicleState({}, True, 7)


def open_stream(platform: Platform, *scopes: str) -> ClientConnection:
    headers = bearer("owner", *scopes)
    return connect(platform.ws_url + PATH, additional_headers=headers, proxy=None)


def receive(stream: ClientConnection) -> Any:
    return members(stream.recv(timeout=10))


def test_a_snapshot_then_changes(platform: Platform) -> None:
    platform.live.change(TOKENS[0], soc=80.0)
    with open_stream(platform) as stream:
        snapshot = receive(stream)
        assert snapshot["type"] == "snapshot"
        assert snapshot["vehicle"]["vin"] == VINS[0]
        assert snapshot["signals"] == {"soc": {"value": 80.0, "time_us": 5, "unit": ""}}
        platform.live.change(TOKENS[0], soc=81.0, gear="D")
        change = receive(stream)
        assert change["type"] == "signals"
        assert {name: row["value"] for name, row in change["signals"].items()} == {
            "soc": 81.0,
            "gear": "D",
        }


def test_presence_is_told_as_such(platform: Platform) -> None:
    with open_stream(platform) as stream:
        receive(stream)
        platform.live.change(TOKENS[0], online=False)
        assert receive(stream) == {"type": "vehicle", "state": "offline", "time_us": 5}


def test_every_transition_of_a_command_with_its_id(platform: Platform) -> None:
    with open_stream(platform) as stream:
        receive(stream)
        url = f"{platform.url}/api/1/vehicles/{VINS[0]}/command/honk_horn"
        command_id = httpx.post(url, headers=bearer()).headers["x-command-id"]
        frames = [receive(stream)["command"]]
        while not frames[-1]["final"]:
            frames.append(receive(stream)["command"])
        assert frames[0]["state"] == "requested"
        told = [step["state"] for step in frames[-1]["timeline"]]
        assert told == ["requested", "handed_over", "executed"]
        assert {frame["id"] for frame in frames} == {command_id}
        other = f"{platform.url}/api/1/vehicles/{VINS[1]}/command/honk_horn"
        httpx.post(other, headers=bearer())
        platform.live.change(TOKENS[0], soc=1.0)
        assert receive(stream)["type"] == "signals"
    with open_stream(platform) as stream:
        assert receive(stream)["commands"][0]["id"] == command_id


def test_the_location_needs_its_scope(platform: Platform) -> None:
    platform.live.change(TOKENS[0], latitude=52.5, destination_name="home", soc=1.0)
    with open_stream(platform, "vehicle_device_data") as stream:
        assert receive(stream)["signals"].keys() == {"soc"}
        platform.live.change(TOKENS[0], latitude=52.6)
        platform.live.change(TOKENS[0], latitude=52.7, soc=2.0)
        assert receive(stream)["signals"].keys() == {"soc"}
    with open_stream(platform) as stream:
        assert receive(stream)["signals"].keys() == {"soc", "latitude", "destination_name"}


def test_browsers_bring_the_token_in_the_query(platform: Platform) -> None:
    url = f"{platform.ws_url}{PATH}?access_token={TOKEN.replace('+', '%2B')}"
    with connect(url, proxy=None) as stream:
        assert receive(stream)["type"] == "snapshot"


def test_browsers_bring_the_token_as_a_subprotocol(platform: Platform) -> None:
    platform.bearers["abc"] = TOKEN
    protocols = [Subprotocol("motorcade.stream"), Subprotocol("bearer.abc")]
    with connect(platform.ws_url + PATH, subprotocols=protocols, proxy=None) as stream:
        assert stream.subprotocol == "motorcade.stream"
        assert receive(stream)["type"] == "snapshot"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {}, 401),
        (PATH, {"Authorization": "Bearer owner:vehicle_device_data:expired"}, 401),
        (PATH, bearer("owner", "vehicle_cmds"), 403),
        (PATH, bearer("mallory"), 404),
        ("/api/1/vehicles/7/stream", bearer(), 404),
    ],
)
def test_who_may_not_is_told_at_the_handshake(
    platform: Platform, path: str, headers: dict[str, str], status: int
) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(platform.ws_url + path, additional_headers=headers, proxy=None),
    ):
        pass
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["x-txid"]


def test_too_many_streams_are_refused_and_room_is_made_by_leaving(platform: Platform) -> None:
    with open_stream(platform), open_stream(platform), open_stream(platform) as third:
        receive(third)
        with pytest.raises(InvalidStatus) as refused, open_stream(platform):
            pass
        assert refused.value.response.status_code == 503
    for _ in range(100):
        try:
            with open_stream(platform) as stream:
                assert receive(stream)["type"] == "snapshot"
                return
        except InvalidStatus:
            continue
    raise AssertionError("no room was made")


def test_a_slow_client_gets_a_fresh_snapshot(platform: Platform) -> None:
    with open_stream(platform) as stream:
        receive(stream)
        filler = "x" * 20_000
        for number in range(700):
            platform.live.change(TOKENS[0], destination_name=f"{number} {filler}")
        kinds = []
        while True:
            frame = receive(stream)
            kinds.append(frame["type"])
            if frame["signals"]["destination_name"]["value"].startswith("699 "):
                break
        assert "snapshot" in kinds
        assert len(kinds) < 700


def test_leaving_ends_the_subscriptions(platform: Platform) -> None:
    with open_stream(platform) as stream:
        receive(stream)
        assert platform.live.callbacks
    for _ in range(1_000):
        if not platform.live.callbacks and not platform.runner._watchers:
            return
        platform.call(lambda: None)
    raise AssertionError("the stream is still subscribed")


def test_stopping_the_server_ends_streams(tmp_path: Path) -> None:
    with contextlib.ExitStack() as server:
        platform = server.enter_context(running(tmp_path))
        with open_stream(platform) as stream:
            receive(stream)
            server.close()
            with pytest.raises(ConnectionClosed):
                receive(stream)
