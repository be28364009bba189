"""The app's WebSocket: snapshot, changes, commands; scopes, slow clients, and how it ends."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from motorcade.api.build import build_api
from motorcade.state.port import VehicleState
from tests.api.standins import ALL_SCOPES, TOKENS, VINS, Platform, bearer, members, running

PATH = f"/api/1/vehicles/{VINS[0]}/stream"
TOKEN = f"owner:{'+'.join(ALL_SCOPES)}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("api.stream_queue_changes_max=50", "api.streams_max=3", "api.stream_comment_s=0.2")
    with running(tmp_path_factory.mktemp("stream"), *settings) as platform:
        yield platform


@pytest.fixture(autouse=True)
def empty_car(platform: Platform) -> None:
    platform.live.states[TOKENS[0]] = VehicleState({}, True, 7)


def open_stream(platform: Platform, *scopes: str, query: str = "") -> ClientConnection:
    headers = bearer("owner", *scopes)
    return connect(platform.ws_url + PATH + query, additional_headers=headers, proxy=None)


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
        told = receive(stream)
        told.pop("resume")
        assert told == {"type": "vehicle", "state": "offline", "time_us": 5}


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


def test_a_slow_client_gets_the_newest_values(platform: Platform) -> None:
    with open_stream(platform) as stream:
        receive(stream)
        filler = "x" * 20_000
        for number in range(700):
            platform.live.change(TOKENS[0], destination_name=f"{number} {filler}")
        count = 0
        while True:
            count += 1
            value = receive(stream)["signals"]["destination_name"]["value"]
            if value.startswith("699 "):
                break
        assert count < 700


def test_who_asks_for_fewer_frames_gets_the_newest_of_each_signal(platform: Platform) -> None:
    with open_stream(platform, query="?interval_ms=300") as stream:
        receive(stream)
        platform.live.change(TOKENS[0], soc=1.0)
        assert receive(stream)["signals"]["soc"]["value"] == 1.0  # the first comes at once
        for number in range(2, 20):
            platform.live.change(TOKENS[0], soc=float(number), gear="D")
        platform.live.change(TOKENS[0], online=False)
        assert receive(stream)["type"] == "vehicle"  # what is no signal does not wait
        frame = receive(stream)
        values = {name: row["value"] for name, row in frame["signals"].items()}
        assert values == {"soc": 19.0, "gear": "D"}


@pytest.mark.parametrize("interval", ["-1", "x", "60001"])
def test_an_interval_that_is_none_is_refused(platform: Platform, interval: str) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        open_stream(platform, query=f"?interval_ms={interval}"),
    ):
        pass
    assert refused.value.response.status_code == 400


def break_off(stream: ClientConnection) -> None:
    """As a phone in a tunnel does: without a word."""
    stream.socket.shutdown(socket.SHUT_RDWR)
    stream.close_socket()


def come_back(platform: Platform, resume: str, *scopes: str) -> ClientConnection:
    return open_stream(platform, *scopes, query=f"?resume={resume}")


def test_who_comes_back_goes_on_behind_the_last_frame_it_has(platform: Platform) -> None:
    stream = open_stream(platform)
    receive(stream)
    platform.live.change(TOKENS[0], soc=1.0)
    had = receive(stream)["resume"]
    platform.live.change(TOKENS[0], soc=2.0)
    lost = receive(stream)  # as if it had not come through
    break_off(stream)
    url = f"{platform.url}/api/1/vehicles/{VINS[0]}/command/honk_horn"
    command_id = httpx.post(url, headers=bearer()).headers["x-command-id"]
    platform.live.change(TOKENS[0], gear="D")
    with come_back(platform, had) as again:
        assert receive(again) == lost
        rest = [receive(again)]
        while rest[-1]["type"] != "signals":
            rest.append(receive(again))
        assert all(frame["type"] == "command" for frame in rest[:-1])
        assert rest[-2]["command"]["id"] == command_id
        assert rest[-2]["command"]["final"]
        assert rest[-1]["signals"].keys() == {"gear"}
        numbers = [int(frame["resume"].partition(".")[2]) for frame in (lost, *rest)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_another_app_or_other_rights_do_not_go_on_with_it(platform: Platform) -> None:
    stream = open_stream(platform)
    had = receive(stream)["resume"]
    break_off(stream)
    platform.live.change(TOKENS[0], latitude=52.5)
    with come_back(platform, had, "vehicle_device_data") as narrower:
        snapshot = receive(narrower)
        assert snapshot["type"] == "snapshot"
        assert "latitude" not in snapshot["signals"]
        assert snapshot["resume"].partition(".")[0] != had.partition(".")[0]


@pytest.mark.parametrize("resume", ["", "x", "x.1", "." * 9, "0123456789abcdef.99999999999999999"])
def test_what_names_no_stream_of_ours_gets_a_snapshot(platform: Platform, resume: str) -> None:
    with come_back(platform, resume) as stream:
        assert receive(stream)["type"] == "snapshot"


def test_who_comes_back_takes_the_place_of_the_connection_that_is_dead(platform: Platform) -> None:
    with open_stream(platform) as old:
        had = receive(old)["resume"]
        with come_back(platform, had) as new:
            with pytest.raises(ConnectionClosed) as closed:
                receive(old)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4409
            platform.live.change(TOKENS[0], soc=3.0)
            assert receive(new)["type"] == "signals"


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Server-sent events by their standard: fields up to an empty line; comments are none."""
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_server_sent_events_tell_the_same_and_go_on_where_they_were(platform: Platform) -> None:
    url = f"{platform.url}{PATH}"
    with httpx.stream("GET", url, headers=bearer(), timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read_events(answer.iter_lines())
        first = next(events)
        assert first["event"] == "snapshot"
        assert members(first["data"])["vehicle"]["vin"] == VINS[0]
        platform.live.change(TOKENS[0], soc=4.0)
        second = next(events)
        assert members(second["data"])["signals"]["soc"]["value"] == 4.0
    platform.live.change(TOKENS[0], soc=5.0)
    headers = bearer() | {"Last-Event-ID": first["id"]}
    with httpx.stream("GET", url, headers=headers, timeout=10) as answer:
        events = read_events(answer.iter_lines())
        assert next(events) == second
        assert members(next(events)["data"])["signals"]["soc"]["value"] == 5.0


def test_a_silent_event_stream_is_kept_alive(platform: Platform) -> None:
    with httpx.stream("GET", f"{platform.url}{PATH}", headers=bearer(), timeout=10) as answer:
        assert any(line == ":" for line in answer.iter_lines())


def test_who_may_not_follow_events_is_told_so(platform: Platform) -> None:
    url = f"{platform.url}{PATH}"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=bearer("owner", "vehicle_cmds")).status_code == 403
    assert httpx.get(url, headers=bearer("mallory")).status_code == 404


def test_an_event_stream_whose_client_is_gone_before_it_begins_leaves_its_place(
    platform: Platform,
) -> None:
    """The framework then never reads a frame; the next clients must not find all places taken."""
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"authorization", bearer()["Authorization"].encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def nothing_more() -> Any:
        return {"type": "http.disconnect"}

    async def gone(message: Any) -> None:
        raise OSError("the client is gone")

    async def ask() -> None:
        with contextlib.suppress(Exception):  # the framework has an error of its own for it
            await build_api(platform.counter)(dict(scope), nothing_more, gone)

    watching = len(platform.live.callbacks)
    before = platform.counter.streams.open
    for _ in range(4):  # one more than there are places
        asyncio.run_coroutine_threadsafe(ask(), platform.loop).result(10)
    assert platform.counter.streams.open == before
    assert len(platform.live.callbacks) == watching


def test_too_many_event_streams_are_refused_too(tmp_path: Path) -> None:
    with running(tmp_path, "api.streams_max=1") as platform:
        url = f"{platform.url}{PATH}"
        with httpx.stream("GET", url, headers=bearer(), timeout=10) as first:
            lines = first.iter_lines()  # dropped, it would close the answer
            assert next(lines).startswith("id: ")
            refused = httpx.get(url, headers=bearer())
            assert (refused.status_code, refused.json()["error"]) == (503, "service unavailable")
        until(lambda: platform.counter.streams.open == 0)
        with httpx.stream("GET", url, headers=bearer(), timeout=10) as again:
            assert again.status_code == 200


def until(true: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("not within ten seconds")


def test_leaving_ends_the_subscriptions(platform: Platform) -> None:
    before = set(platform.live.callbacks)  # of those that other tests broke off
    with open_stream(platform) as stream:
        receive(stream)
        mine = set(platform.live.callbacks) - before
        assert mine
    for _ in range(1_000):
        if not mine & set(platform.live.callbacks):
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
