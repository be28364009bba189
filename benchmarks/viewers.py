"""What pages cost the server: one look at 100,000 cars per tick for all, and each viewer's frames.

Claim: 50 viewers at 2 Hz cost at most 5 % of a core. Every car moves between two ticks, so all of
it is new to everybody. Viewers look at the fleet in three ways: a street's worth of cars (some
hundreds in view), a city's (some thousands), and everything (density). CPU is of the thread that
looks and makes frames, and of sending: each message framed as the server's library does it and
written to a TCP socket of the viewer's own on loopback, whose other end a process reads. What the
event loop and the framework add is in `benchmarks.pages` alone.
`python -m benchmarks.viewers [--cars N] [--ticks N]`.
"""

import argparse
import json
import multiprocessing
import selectors
import socket
import statistics
import time
from typing import Any, Final

import numpy as np
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from benchmarks.machine import describe
from motorcade.api.window import kernels
from motorcade.api.window.picture import Looker, Picture
from motorcade.api.window.views import View, ViewAsked, Viewer
from motorcade.config import Config
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import SampleBatch
from motorcade.state import kernels as state_kernels
from motorcade.state.embedded import EmbeddedLiveState

RATE_HZ: Final = 2.0
VIEWERS: Final = (1, 50, 1_000)
START_US: Final = 1_760_000_000_000_000
CITY: Final = (52.3, 13.0, 52.7, 13.8)  # south, west, north, east: where the cars are
WAYS: Final = {"street": 0.04, "city quarter": 0.2, "everything": 2.0}  # of the city's side


class Everybody:
    """A registry in which each token is a vehicle."""

    def __init__(self, state: EmbeddedLiveState) -> None:
        from motorcade.registry.port import Vehicle

        tokens = [state._token_of(slot) for slot in range(state._slots.count)]
        self._all = [
            Vehicle(n + 1, f"VIN{n:014d}", token, f"Car {n}", 1, 0)
            for n, token in enumerate(tokens)
        ]

    def changes(self) -> int:
        return 1

    def vehicles(self, offset: int, limit: int, owner: str = "") -> list[Any]:
        return self._all[offset : offset + limit]


class Fleet:
    """Cars in live state that move by themselves."""

    def __init__(self, cars: int) -> None:
        self.random = np.random.default_rng(1)
        self.state = EmbeddedLiveState(Config())
        high, low = self.random.integers(1, 1 << 60, (2, cars), dtype=np.uint64)
        self.slots = self.state._slots.find_or_add(high, low)
        self.state._grow()
        self.state._received_us[:cars] = START_US
        south, west, north, east = CITY
        self.latitude = self.random.uniform(south, north, cars)
        self.longitude = self.random.uniform(west, east, cars)
        self.time_us = START_US
        self.put("vehicle_speed", self.random.uniform(1, 20, cars))
        self.put("gear", np.full(cars, 5.0))
        self.move()

    def put(self, name: str, values: Any) -> None:
        count = len(self.slots)
        times = np.full(count, self.time_us, np.int64)
        signals = np.full(count, BY_NAME[name].id, np.int32)
        samples = SampleBatch(self.slots, times, signals, np.asarray(values, float))
        self.state._cells.apply(samples, 0, count)

    def move(self) -> None:
        self.time_us += int(1e6 / RATE_HZ)
        for place in (self.latitude, self.longitude):
            place += self.random.normal(0, 1e-5, len(place))
        self.put("latitude", self.latitude)
        self.put("longitude", self.longitude)


def viewer(way: str, random: Any) -> Viewer:
    """Somebody who looks at some part of the city."""
    south, west, north, east = CITY
    share = WAYS[way]
    tall, wide = (north - south) * share, (east - west) * share
    low = south + random.uniform(0, max(0.0, north - south - tall))
    left = west + random.uniform(0, max(0.0, east - west - wide))
    bounds = [left, low, left + wide, low + tall]
    looker = Looker("owner", "motorcade-page", True, False, True, True)
    zoom = 9.0 if share > 1 else 12.0
    return Viewer(looker, Config().dashboard, view=View.of(ViewAsked(bounds, zoom)))


def read_all(listening: socket.socket) -> None:
    """The other end of every viewer's socket: reads, and looks at nothing."""
    found, room = selectors.DefaultSelector(), bytearray(1 << 20)
    found.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in found.select():
            peer: Any = key.fileobj
            if peer is listening:
                found.register(listening.accept()[0], selectors.EVENT_READ)
            elif not peer.recv_into(room):
                found.unregister(peer)
                peer.close()


class Link:
    """A viewer's WebSocket, once it is open."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._frames = Connection(ConnectionType.SERVER)

    def send(self, message: dict[str, Any] | bytes | None) -> None:
        if isinstance(message, dict):
            self._socket.sendall(self._frames.send(TextMessage(json.dumps(message))))
        elif message is not None:
            self._socket.sendall(self._frames.send(BytesMessage(message)))

    def close(self) -> None:
        self._socket.close()


def measure(
    fleet: Fleet, picture: Picture, way: str, count: int, ticks: int, address: tuple[str, int]
) -> dict[str, float]:
    """CPU of a tick: the look for all, then all viewers' frames, then their sending."""
    links = [Link(address) for _ in range(count)]
    viewers = [viewer(way, fleet.random) for _ in range(count)]
    room = int(Config().dashboard.viewer_bytes_per_s_max / RATE_HZ)
    looks, frames, sends, sizes = [], [], [], []
    for tick in range(ticks + 1):
        fleet.move()
        begun = time.thread_time()
        picture.take(fleet.time_us)
        looked = time.thread_time()
        made = [(one.counts(picture), one.frame(picture, room)) for one in viewers]
        ended = time.thread_time()
        for link, messages in zip(links, made, strict=True):
            for message in messages:
                link.send(message)
        sent = time.thread_time()
        if tick:  # the first brings everything
            looks.append(looked - begun)
            frames.append(ended - looked)
            sends.append(sent - ended)
            sizes.append(sum(len(frame or b"") for _, frame in made) / count)
    for link in links:
        link.close()
    look_ms, frame_ms, send_ms = (
        statistics.median(times) * 1e3 for times in (looks, frames, sends)
    )
    return {
        "look_ms": look_ms,
        "viewer_us": frame_ms * 1e3 / count,
        "send_us": send_ms * 1e3 / count,
        "making_percent": (look_ms + frame_ms) * RATE_HZ / 10,
        "core_percent": (look_ms + frame_ms + send_ms) * RATE_HZ / 10,
        "kib": statistics.median(sizes) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=100_000)
    parser.add_argument("--ticks", type=int, default=10)
    asked = parser.parse_args()
    kernels.warm()
    state_kernels.warm()
    fleet = Fleet(asked.cars)
    registry: Any = Everybody(fleet.state)
    picture = Picture(fleet.state, registry, None)
    print(describe())
    print(f"{asked.cars} cars, all of them moving; {RATE_HZ:g} Hz; {asked.ticks} ticks, medians")
    print(
        "view          viewers  look ms  us/viewer: frame, send  KiB/frame  % of a core: made, sent"
    )
    listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    reader = multiprocessing.Process(target=read_all, args=(listening,), daemon=True)
    reader.start()
    for way in WAYS:
        for count in VIEWERS:
            ticks = asked.ticks if count < 1_000 else 3
            got = measure(fleet, picture, way, count, ticks, listening.getsockname())
            print(
                f"{way:12}  {count:7}  {got['look_ms']:7.1f}  {got['viewer_us']:16.0f}  "
                f"{got['send_us']:4.0f}  {got['kib']:9.1f}  {got['making_percent']:17.1f}  "
                f"{got['core_percent']:4.1f}",
                flush=True,
            )
    reader.terminate()


if __name__ == "__main__":
    main()
