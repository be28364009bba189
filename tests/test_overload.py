"""More than it can take: memory stays bounded, commands go on, and who breaks a limit is told so.

Real processes, no figures of time: those are `benchmarks/overload.py`'s. What a peer sends beyond
what the gateway can take stays in that peer's own socket.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from motorcade.metrics.report import ask
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from tests.audit.callers import Caller
from tests.gateway.mqtt.wire_client import Client
from tests.platform_process import MOTORCADE, Platform, add_vehicles

FLOODERS = 20
FLOOD_BYTES = 6 << 20  # of each: 120 MiB in all
PAYLOAD = b"x" * 4_000
RECEIVE_MAX = 100
GROWTH_BYTES_MAX = 64 << 20
SETTINGS = (
    "log.batch_bytes_max=4194304",
    "gateway.write_buffer_bytes_max=65536",
    "mqtt.packet_bytes_max=65536",
    "telemetry.frame_bytes_max=100000",
    f"mqtt.receive_max={RECEIVE_MAX}",
    "commands.in_flight_per_vehicle_max=2",
)
VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(FLOODERS + 2)]
CAR, SLEEPER = VINS[-2:]
COMMANDS = 20


@dataclass
class Town:
    platform: Platform
    files: dict[str, dict[str, Any]]
    directory: Path

    def mqtt(self, vin: str, level: ProtocolLevel) -> Client:
        client = Client(self.platform.ready["mqtt"]["port"], level)
        account = self.files[vin]["mqtt"]
        client.connect(account["username"], account["client_id"], account["password"].encode())
        return client

    def topic(self, vin: str) -> str:
        return f"{self.files[vin]['mqtt']['publish_topic_prefix']}/telemetry"

    def resident_bytes(self) -> int:
        """Of all processes."""
        total = 0
        for pid in self.platform.children():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) << 10
        return total


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory: Path = tmp_path_factory.mktemp("overload")
    files = add_vehicles(directory / "data", VINS, directory / "vehicles")
    platform = Platform(directory / "data", SETTINGS)
    try:
        platform.start()
        deadline_s = time.monotonic() + 30
        while asyncio.run(ask(platform.data, "reader", 1.0)) is None:  # it starts after the others
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        yield Town(platform, files, directory)
    finally:
        assert platform.stop() == 0


def flood(town: Town, vin: str, most: list[int]) -> None:
    """QoS 0 as fast as the socket takes it; then wait until it has been read to the end."""
    with town.mqtt(vin, ProtocolLevel.V3_1_1) as client:
        client.socket.settimeout(120)
        sent = 0
        while sent < FLOOD_BYTES:
            client.publish(town.topic(vin), PAYLOAD, None)
            sent += len(PAYLOAD)
            if sent % (256 << 10) < len(PAYLOAD):
                most.append(town.resident_bytes())
        client.publish(town.topic(vin), b"{}", 1)
        client.receive()


def test_a_flood_leaves_memory_bounded_and_commands_served(town: Town) -> None:
    car = asyncio.run(drive_and_flood(town))
    assert len(car.ids) >= COMMANDS


async def drive_and_flood(town: Town) -> Caller:
    file = town.directory / "vehicles" / CAR / "vehicle.json"
    data = str(town.platform.data)
    process = await asyncio.create_subprocess_exec(
        MOTORCADE,
        "drive",
        "--data",
        data,
        "--vehicle",
        str(file),
        stdout=asyncio.subprocess.DEVNULL,
    )
    caller = Caller(CAR)
    caller.aim(town.platform.ready)
    try:
        calling = asyncio.create_task(caller.run())
        before, most = town.resident_bytes(), [0]
        floods = [asyncio.to_thread(flood, town, vin, most) for vin in VINS[:FLOODERS]]
        await asyncio.gather(*floods)
        assert max(most) - before < GROWTH_BYTES_MAX
        async with asyncio.timeout(60):
            while len(caller.ids) < COMMANDS:
                await asyncio.sleep(0.05)
        caller.stop_sending()
        await calling
        ends = await caller.ends()
        states = [end["state"] for end in ends.values()]
        assert states.count("executed") >= 0.9 * len(states), states
    finally:
        process.terminate()
        await process.wait()
    return caller


def test_more_in_flight_than_receive_maximum_is_told(town: Town) -> None:
    with town.mqtt(SLEEPER, ProtocolLevel.V5) as client:
        packets = b"".join(
            encode(town.topic(SLEEPER), number + 1) for number in range(4 * RECEIVE_MAX)
        )
        client.socket.sendall(packets)
        last: Any = None
        while (packet := client.receive()) is not None:
            last = packet
        assert isinstance(last, Disconnect)
        assert last.reason is Reason.RECEIVE_MAXIMUM_EXCEEDED


def encode(topic: str, packet_id: int) -> bytes:
    from motorcade.wire.mqtt.packets import encode_packet

    return encode_packet(Publish(topic, b"{}", 1, packet_id), ProtocolLevel.V5)


def test_more_commands_under_way_than_a_vehicle_may_have_are_told_when_to_come_again(
    town: Town,
) -> None:
    """A car that is connected and does not answer."""
    with town.mqtt(SLEEPER, ProtocolLevel.V5) as client:
        client.subscribe(town.files[SLEEPER]["mqtt"]["command_topic"])
        statuses: list[int] = []
        retry_after: list[str] = []

        async def press() -> None:
            caller = Caller(SLEEPER)
            caller.aim(town.platform.ready)
            path = f"/api/1/vehicles/{SLEEPER}/command/honk_horn"
            answers = await asyncio.gather(*(caller._ask("POST", path, {}) for _ in range(6)))
            for answer in answers:
                assert answer is not None
                statuses.append(answer.status)
                if answer.status == 429:
                    retry_after.append(answer.headers["retry-after"])

        asyncio.run(press())
    assert sorted(statuses) == [408, 408, 429, 429, 429, 429]
    assert len(retry_after) == 4


def test_a_peer_that_reads_no_acks_is_closed(town: Town) -> None:
    """Its acks would fill the server's memory; 3.1.1 has no limit of publishes in flight."""
    vin = VINS[0]
    with town.mqtt(vin, ProtocolLevel.V3_1_1) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.socket.settimeout(60)
        packet = b"".join(
            encode_old(town.topic(vin), number % 65_535 + 1) for number in range(2_000)
        )
        closed = threading.Event()

        def push() -> None:
            try:
                for _ in range(2_000):
                    client.socket.sendall(packet)
            except OSError:
                closed.set()

        push()
        assert closed.is_set()


def encode_old(topic: str, packet_id: int) -> bytes:
    from motorcade.wire.mqtt.packets import encode_packet

    return encode_packet(Publish(topic, b"", 1, packet_id), ProtocolLevel.V3_1_1)
