"""A fleet in real live state behind a platform, and a page that reads the stream."""

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

from motorcade.api.window import kernels
from motorcade.config import Config
from motorcade.events import RecordBatch
from motorcade.state import kernels as state_kernels
from motorcade.state.embedded import EmbeddedLiveState
from tests.api.standins import Platform, running
from tests.state.records import signals

CARS = (("slot", "<u4"), ("lon", "<i4"), ("lat", "<i4"), ("age_ms", "<u4"), ("speed", "<u2"))
CARS += (("heading", "<u2"), ("state", "u1"), ("flags", "u1"))
WORLD = [-180.0, -90.0, 180.0, 90.0]


def token_of(subject: str = "owner", *scopes: str) -> str:
    return f"{subject}:{'+'.join(scopes or ('vehicle_device_data', 'vehicle_location'))}"


@contextlib.contextmanager
def fleet(directory: Path, *settings: str) -> Iterator[tuple[Platform, EmbeddedLiveState]]:
    """A platform whose live state is a real one, its kernels compiled as the process has them."""
    kernels.warm()
    state_kernels.warm()
    with running(directory, *settings) as platform:
        live = EmbeddedLiveState(Config())
        platform.counter.state = live
        platform.counter.viewers._picture.state = live
        yield platform, live


def tell(platform: Platform, live: EmbeddedLiveState, token: Any, **values: Any) -> None:
    """A car says something, now."""
    record = signals(token, 0, **values)
    now_us = platform.clock.now_us()
    body = json.dumps({"time_us": now_us, "signals": values}).encode()
    told = record.__class__(
        **{name: getattr(record, name) for name in record.__struct_fields__}
        | {"payload": body, "received_time_us": now_us, "event_time_us": now_us}
    )
    live.apply(RecordBatch.of([told]), "gateway")


class Page:
    """What a page holds of the fleet."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.cars: dict[int, dict[str, int]] = {}
        self.cells: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {}
        self.welcome: dict[str, Any] = {}
        self.problems: list[str] = []
        self.frames: list[tuple[int, bool, int]] = []

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def view(self, bounds: list[float] | None = None, **more: Any) -> None:
        self.say(type="view", bounds=bounds or WORLD, zoom=more.pop("zoom", 3), **more)

    def hear(self, timeout_s: float = 5.0) -> Any:
        """One message; what it was."""
        message = self.socket.recv(timeout=timeout_s)
        if isinstance(message, str):
            told = json.loads(message)
            if told["type"] == "problem":
                self.problems.append(told["text"])
            else:
                setattr(self, told["type"], told)
            return told["type"]
        return self._read(message)

    def drain(self, timeout_s: float = 5.0) -> None:
        """Hear until there is nothing for so long (`TimeoutError`), or it ends."""
        while True:
            self.hear(timeout_s)

    def until(self, good: Any, timeout_s: float = 5.0) -> None:
        for _ in range(200):
            if good(self):
                return
            self.hear(timeout_s)
        raise AssertionError(f"never came: {self.cars} {self.counts}")

    def _read(self, frame: bytes) -> str:
        kind, version, flags, count, _, serial = struct.unpack_from("<BBHIqQ", frame)
        assert version == 1
        self.frames.append((kind, bool(flags & 1), count))
        assert serial == len(self.frames)
        place = 24
        if flags & 1:
            self.cars, self.cells = {}, []
        if kind == 1:
            columns = {}
            for name, form in CARS:
                columns[name] = np.frombuffer(frame, form, count, place).tolist()
                place += count * np.dtype(form).itemsize
            for index in range(count):
                car = {name: columns[name][index] for name, _ in CARS}
                if car["flags"] & 2:
                    self.cars.pop(car["slot"], None)
                else:
                    self.cars[car["slot"]] = car
        else:
            lon, lat = (np.frombuffer(frame, "<i4", count, place + 4 * count * n) for n in (0, 1))
            size, number = (
                np.frombuffer(frame, "<u4", count, place + 4 * count * n) for n in (2, 3)
            )
            states = np.frombuffer(frame, "<u2", 7 * count, place + 16 * count).reshape(count, 7)
            place += 30 * count
            rows = zip(lon, lat, size, number, states.tolist(), strict=True)
            self.cells = [
                {"lon": int(a), "lat": int(b), "size": int(c), "count": int(d), "states": e}
                for a, b, c, d, e in rows
            ]
        assert place == len(frame)
        return {1: "cars", 2: "density"}[kind]


@contextlib.contextmanager
def page(platform: Platform, token: str) -> Iterator[Page]:
    with connect(f"{platform.ws_url}/api/2/fleet/stream", proxy=None) as socket:
        opened = Page(socket)
        opened.say(type="hello", token=token)
        yield opened
