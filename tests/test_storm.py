"""A crowd of TLS vehicles that comes back at once: small here, large in `benchmarks/storm.py`.

Sessions resume on both versions, nobody is turned away, who is in gets acks meanwhile, and peers
that hold a place in the queue without a word do not keep the others out.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from motorcade.wire.mqtt.publish import Puback
from motorcade.wire.mqtt.reasons import ProtocolLevel
from tests.gateway.mqtt.wire_client import Client
from tests.platform_process import Platform, add_vehicles
from tests.tls_fleet import TlsCar, connect_all, tls_car

CARS = 40
PLACES = 4
CROWDED_S = 2.0
HANDSHAKE_S = 60.0
SILENT = 24  # ahead in the queue: 24 / 4 * 2 s if they make way, 360 s if not
LIMIT_S = 150.0
SETTINGS = (
    f"gateway.handshakes_concurrent_max={PLACES}",
    f"gateway.handshake_crowded_s_max={CROWDED_S}",
    f"telemetry.handshake_s_max={HANDSHAKE_S}",
    f"mqtt.connect_s_max={HANDSHAKE_S}",
)
DOORS = [
    ("mqtts", ssl.TLSVersion.TLSv1_3),
    ("telemetry", ssl.TLSVersion.TLSv1_3),
    ("telemetry", ssl.TLSVersion.TLSv1_2),
]


@dataclass
class Town:
    """The platform, the crowd's files, and a vehicle that is in."""

    ready: dict[str, Any]
    files: list[dict[str, Any]]
    witness: "Witness"


@dataclass
class Witness:
    """Publishes one record after the other, each as soon as the one before has its ack."""

    client: Client
    topic: str
    acked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.is_set():
            self.client.publish(self.topic, b"{}", 1)
            self.client.expect(Puback)
            self.acked += 1
            self._stop.wait(0.005)

    def stop(self) -> None:
        self._stop.set()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory: Path = tmp_path_factory.mktemp("storm")
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(CARS + 1)]
    files = list(add_vehicles(directory / "data", vins, directory / "vehicles").values())
    platform = Platform(directory / "data", SETTINGS)
    try:
        platform.start()
        client = Client(platform.ready["mqtt"]["port"], ProtocolLevel.V3_1_1)
        account = files[-1]["mqtt"]
        client.connect(account["username"], account["client_id"], account["password"].encode())
        client.socket.settimeout(LIMIT_S)
        witness = Witness(client, f"{account['publish_topic_prefix']}/telemetry")
        thread = threading.Thread(target=witness.run, daemon=True)
        thread.start()
        yield Town(platform.ready, files[:CARS], witness)
        witness.stop()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    finally:
        assert platform.stop() == 0


def crowd(town: Town, door: str, version: ssl.TLSVersion) -> list[TlsCar]:
    return [tls_car(file, door, version) for file in town.files]


@pytest.mark.parametrize(("door", "version"), DOORS)
def test_all_come_back_with_their_sessions_while_the_others_get_acks(
    town: Town, door: str, version: ssl.TLSVersion
) -> None:
    cars = crowd(town, door, version)
    first = connect_all(cars, town.ready[door], LIMIT_S)
    assert (first.resumed, first.tries) == (0, CARS)
    for car in cars:
        car.drop()
    before = town.witness.acked
    storm = connect_all(cars, town.ready[door], LIMIT_S)
    assert (storm.resumed, storm.tries) == (CARS, CARS)
    assert storm.kept == (CARS if door == "mqtts" else 0)
    assert town.witness.acked > before
    for car in cars:
        car.drop()


@pytest.mark.parametrize("door", ["mqtts", "telemetry"])
def test_peers_that_say_nothing_make_way_for_those_who_wait(town: Town, door: str) -> None:
    place = town.ready[door]
    silent = [socket.create_connection((place["host"], place["port"])) for _ in range(SILENT)]
    cars = crowd(town, door, ssl.TLSVersion.TLSv1_3)[:8]
    try:
        connect_all(cars, place, LIMIT_S)
    finally:
        for link in silent:
            link.close()
        for car in cars:
            car.drop()
