"""SIGTERM with every kind of peer in the middle of something: what each of them is told, what is
stored, how the process ends, and that the next start serves. Real processes, real sockets.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from motorcade.config import Config
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer
from motorcade.wire.mqtt.publish import Puback, Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from tests.audit.senders import envelope, number_of, v_payload
from tests.gateway.mqtt.wire_client import Client
from tests.http_link import Answer as HttpAnswer
from tests.http_link import HttpLink, until_healthy
from tests.platform_process import Platform, add_vehicles, stored

VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(4)]
STREAMER, OLD_STREAMER, COMMANDED, TELEMETRIST = VINS
WINDOW = 50
LIMIT_S = Config().supervisor.drain_s_max
CLIENT_CLOSE_S = 1.0  # how long our peers wait for TCP's end after the goodbye


@dataclass
class Seen:
    """What the peers saw, and how it ended."""

    acked: dict[str, set[int]] = field(default_factory=dict)  # VIN -> sequence numbers
    goodbye: dict[str, Any] = field(default_factory=dict)  # VIN or "app" -> the last word
    command: HttpAnswer | None = None
    refused: dict[str, bool] = field(default_factory=dict)  # door -> a new peer is turned away
    exit_code: int = -1
    drain_s: float = 0.0
    stored: dict[str, list[int]] = field(default_factory=dict)
    served_again: bool = False
    healthy_again: bool = False


def log_in(ready: dict[str, Any], vehicle: dict[str, Any], level: ProtocolLevel) -> Client:
    client = Client(ready["mqtt"]["port"], level)
    account = vehicle["mqtt"]
    client.connect(account["username"], account["client_id"], account["password"].encode())
    return client


def publish_until_closed(client: Client, vehicle: dict[str, Any], acked: set[int]) -> Any:
    """Keep `WINDOW` publishes in flight; return the last packet before the end."""
    prefix = vehicle["mqtt"]["publish_topic_prefix"]
    last: Any = None
    sent = 0
    with client:
        while True:
            try:
                while sent - len(acked) < WINDOW:
                    packet_id = sent % 60_000 + 1
                    client.publish(f"{prefix}/telemetry/drain/{sent}", b'{"Soc":1}', packet_id)
                    sent += 1
            except OSError:
                pass  # the server has closed: what it said before is still to be read
            packet = client.receive()
            if packet is None:
                return last
            last = packet
            if isinstance(packet, Puback):
                acked.add(len(acked))  # they come in order: MQTT 5.0 §4.6
                assert packet.packet_id == (len(acked) - 1) % 60_000 + 1


def answer_when(client: Client, vehicle: dict[str, Any], got: Any, may: threading.Event) -> Any:
    """A car that answers its one command once it may; return the goodbye."""
    with client:
        message = client.take()
        command = json.loads(message.payload)
        got.set()
        assert may.wait(30)
        answer = write_up(Answer(id=command["id"], state="executed", counter=command["counter"]))
        client.publish(f"{vehicle['mqtt']['publish_topic_prefix']}/command_answers", answer, 7)
        last: Any = None
        while (packet := client.receive()) is not None:
            if not isinstance(packet, Publish):
                last = packet
        return last


def closing_of(closed: websockets.ConnectionClosed) -> tuple[int, str]:
    """The code and reason that the server gave."""
    assert closed.rcvd is not None, "TCP ended without a close frame"
    return closed.rcvd.code, closed.rcvd.reason


async def stream_records(link: ClientConnection, vin: str, acked: set[int]) -> tuple[int, str]:
    """Keep records in flight; return the close code and reason."""
    sent = 0
    try:
        while True:
            while sent - len(acked) < WINDOW:
                sender = f"vehicle_device.{vin}".encode()
                payload = v_payload(vin, sent)
                created_at = 1_700_000_000 + sent
                await link.send(envelope(b"drain-%08d" % sent, b"V", sender, created_at, payload))
                sent += 1
            answer = await link.recv()
            assert isinstance(answer, bytes)
            start = answer.index(b"drain-") + 6
            acked.add(int(answer[start : start + 8]))
    except websockets.ConnectionClosed as closed:
        return closing_of(closed)


async def last_word(link: ClientConnection) -> tuple[int, str]:
    """Read an app's stream to its end."""
    try:
        while True:
            await link.recv()
    except websockets.ConnectionClosed as closed:
        return closing_of(closed)


def turned_away(place: dict[str, Any]) -> bool:
    """Whether nobody listens there any more."""
    try:
        with socket.create_connection((place["host"], place["port"]), 5):
            return False
    except ConnectionResetError:  # it was in the queue when the door closed
        return False
    except ConnectionRefusedError:
        return True


def has_ended(pid: int) -> bool:
    """Whether a child of ours has ended, waited for or not."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def scene(platform: Platform, files: dict[str, dict[str, Any]], seen: Seen) -> None:
    """All peers at work, SIGTERM, and what becomes of them."""
    ready = platform.ready
    for vin in VINS:
        seen.acked[vin] = set()
    got, may = threading.Event(), threading.Event()
    car = log_in(ready, files[COMMANDED], ProtocolLevel.V5)
    car.subscribe(files[COMMANDED]["mqtt"]["command_topic"])
    work = {COMMANDED: asyncio.to_thread(answer_when, car, files[COMMANDED], got, may)}
    for vin, level in ((STREAMER, ProtocolLevel.V5), (OLD_STREAMER, ProtocolLevel.V3_1_1)):
        client = log_in(ready, files[vin], level)
        work[vin] = asyncio.to_thread(publish_until_closed, client, files[vin], seen.acked[vin])
    context = ssl.create_default_context(cafile=files[TELEMETRIST]["ca_file"])
    context.load_cert_chain(files[TELEMETRIST]["cert_file"], files[TELEMETRIST]["key_file"])
    place = ready["telemetry"]
    telemetry = await websockets.connect(
        f"wss://{place['host']}:{place['port']}/",
        ssl=context,
        compression=None,
        close_timeout=CLIENT_CLOSE_S,
    )
    work[TELEMETRIST] = stream_records(telemetry, TELEMETRIST, seen.acked[TELEMETRIST])
    app = await websockets.connect(
        f"{ready['api']['url'].replace('http', 'ws', 1)}/api/1/vehicles/{STREAMER}/stream",
        additional_headers={"Authorization": f"Bearer {ready['admin_token']}"},
        close_timeout=CLIENT_CLOSE_S,
    )
    work["app"] = last_word(app)
    tasks = {name: asyncio.ensure_future(each) for name, each in work.items()}
    http = HttpLink(ready["api"]["url"], ready["admin_token"])
    path = f"/api/1/vehicles/{COMMANDED}/command/honk_horn"
    command = asyncio.create_task(http.request("POST", path, {}))
    await until(got.is_set)
    await until(lambda: all(len(seen.acked[vin]) > 200 for vin in VINS if vin != COMMANDED))

    began_s = time.monotonic()
    os.kill(platform.pid, signal.SIGTERM)
    doors = [ready["mqtt"], ready["mqtts"], ready["telemetry"]]
    await until(lambda: all(turned_away(place) for place in doors))
    seen.refused = {str(place["port"]): True for place in doors}
    before = len(seen.acked[STREAMER])
    await until(lambda: len(seen.acked[STREAMER]) > before)  # who is in is served on
    may.set()
    over = asyncio.create_task(until(lambda: has_ended(platform.pid)))
    over.add_done_callback(lambda _over: setattr(seen, "drain_s", time.monotonic() - began_s))
    seen.command = await command
    for name, task in tasks.items():
        seen.goodbye[name] = await asyncio.wait_for(task, 30)
    await over
    seen.exit_code = await asyncio.to_thread(platform.stop)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("drain")
    files = add_vehicles(directory / "data", VINS, directory / "vehicles")
    platform = Platform(directory / "data")
    result = Seen()
    try:
        platform.start()
        asyncio.run(scene(platform, files, result))
    finally:
        platform.stop()
    assert not list(Path(directory / "data").glob("ready*")), "the ready file outlives the platform"
    for vin in (STREAMER, OLD_STREAMER):
        records = stored(directory / "data", vin)
        result.stored[vin] = [record["sender_sequence"] for record in records]
    records = stored(directory / "data", TELEMETRIST)
    result.stored[TELEMETRIST] = [number_of(record) for record in records]
    platform.start()
    try:
        with log_in(platform.ready, files[STREAMER], ProtocolLevel.V5) as again:
            topic = f"{files[STREAMER]['mqtt']['publish_topic_prefix']}/telemetry"
            again.publish(topic, b'{"Soc":2}', 9)
            result.served_again = again.expect(Puback).packet_id == 9
        asyncio.run(until_healthy(platform.ready))
        result.healthy_again = True
    finally:
        platform.stop()
    return result


def test_the_platform_exits_0_within_the_bound(seen: Seen) -> None:
    assert seen.exit_code == 0
    assert seen.drain_s < LIMIT_S


def test_mqtt_5_is_told_that_the_server_shuts_down(seen: Seen) -> None:
    for vin in (STREAMER, COMMANDED):
        assert isinstance(seen.goodbye[vin], Disconnect)
        assert seen.goodbye[vin].reason is Reason.SERVER_SHUTTING_DOWN


def test_mqtt_3_1_1_which_has_no_word_for_it_gets_its_acks_and_the_end(seen: Seen) -> None:
    assert isinstance(seen.goodbye[OLD_STREAMER], Puback)


def test_websockets_of_cars_and_apps_are_closed_with_1001(seen: Seen) -> None:
    for name in (TELEMETRIST, "app"):
        code, reason = seen.goodbye[name]
        assert code == 1001
        assert "connect again" in reason


def test_a_command_in_flight_is_answered_with_its_true_end(seen: Seen) -> None:
    assert seen.command is not None
    assert seen.command.status == 200, seen.command
    assert seen.command.body["response"]["result"] is True


@pytest.mark.parametrize("vin", [STREAMER, OLD_STREAMER, TELEMETRIST])
def test_what_was_acknowledged_is_stored_once_and_in_order(seen: Seen, vin: str) -> None:
    stored = seen.stored[vin]
    assert stored == sorted(set(stored))
    assert seen.acked[vin] <= set(stored)
    assert len(stored) - len(seen.acked[vin]) <= WINDOW


def test_no_new_peer_comes_in(seen: Seen) -> None:
    assert len(seen.refused) == 3


def test_the_next_start_serves(seen: Seen) -> None:
    """How soon: `benchmarks/start.py`."""
    assert seen.served_again
    assert seen.healthy_again
