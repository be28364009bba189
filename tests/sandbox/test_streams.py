"""Faults and a world's time reach an app's streams: when they open, and while they are open."""

import contextlib
import threading
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from motorcade.sandbox.client import World
from tests.sandbox.app import App


def opened(world: World, **further: str) -> ClientConnection:
    url = f"{world.api_url.replace('http', 'ws')}/api/1/vehicles/{world.vehicle.vin}/stream"
    return connect(url, additional_headers=world.headers | further)


def end_of(socket: ClientConnection) -> tuple[int, str]:
    """Read until the server ends it."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=10)
    return socket.close_code or 0, socket.close_reason or ""


def test_a_websocket_is_refused_as_a_request_is(world: World) -> None:
    world.vehicle.fail_next(503, path="*/stream", method="GET", retry_s=7)
    with pytest.raises(InvalidStatus) as refused:
        opened(world)
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["retry-after"] == "7"
    assert b"service unavailable" in (refused.value.response.body or b"")
    with opened(world) as socket:
        assert "snapshot" in str(socket.recv(timeout=10))


def test_a_fault_finds_a_websocket_by_the_token_in_its_address(world: World) -> None:
    world.fail_next(429)
    url = f"{world.api_url.replace('http', 'ws')}/api/1/vehicles/{world.vehicle.vin}/stream"
    with pytest.raises(InvalidStatus, match="429"):
        connect(f"{url}?access_token={world.access_token}")
    world.fail_next(429)
    with pytest.raises(InvalidStatus, match="429"):
        connect(url, subprotocols=["motorcade.stream", f"bearer.{world.access_token}"])  # type: ignore[list-item]


@pytest.mark.parametrize("how", ["expire_tokens", "advance"])
def test_an_open_websocket_ends_when_its_token_is_too_old(world: World, how: str) -> None:
    with opened(world) as socket:
        socket.recv(timeout=10)
        if how == "advance":
            world.advance(8 * 3_600)
        else:
            world.expire_tokens()
        assert end_of(socket) == (4401, "token expired (401)")
    with pytest.raises(InvalidStatus, match="401"):
        opened(world)


def test_an_open_stream_ends_in_the_time_of_a_faster_world(world: World) -> None:
    world.advance(8 * 3_600 - 900)
    with opened(world) as socket:
        socket.recv(timeout=10)
        world.speed_up(900)  # a quarter of an hour in a second
        assert end_of(socket) == (4401, "token expired (401)")


def test_events_end_when_their_token_is_too_old(world: World, app: App) -> None:
    def lines() -> Iterator[str]:
        with app.http.stream("GET", f"/api/1/vehicles/{app.vin}/stream") as answer:
            assert answer.status_code == 200
            yield from answer.iter_lines()

    told = lines()
    assert next(told).startswith("id:")
    timer = threading.Timer(0.3, world.expire_tokens)
    timer.start()
    assert "event: end" in list(told)
    timer.join()
    world.fail_next(503, path="*/stream")
    assert [app.get("/stream").status_code for _ in range(2)] == [503, 401]
