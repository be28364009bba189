"""A disk that is really full (a small tmpfs: the kernel itself says ENOSPC), seen by every kind of
peer: who is refused and how, what goes on, and that all of it ends when there is room.
"""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer
from motorcade.wire.mqtt.publish import Puback
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from tests.audit.senders import envelope, number_of, v_payload
from tests.gateway.mqtt.wire_client import Client
from tests.http_link import Answer as HttpAnswer
from tests.http_link import HttpLink
from tests.metrics.watching import eventually
from tests.platform_process import Platform, add_vehicles, stored, title

DISK_BYTES = 64 << 20
SETTINGS = ("log.segment_allocate_bytes=1048576",)
BULK_REFUSED = 4 << 20  # free bytes: below a tenth of the disk, above a hundredth
ALL_REFUSED = 256 << 10
VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(4)]
NEW, OLD, TELEMETRIST, COMMANDED = VINS


@dataclass
class Town:
    """The platform on its small disk, and who talks to it."""

    platform: Platform
    files: dict[str, dict[str, Any]]
    disk: Path
    seen: dict[str, Any] = field(default_factory=dict)

    def leave_free(self, free_bytes: int) -> None:
        """Fill the disk until so much is left."""
        with (self.disk / "filler").open("ab") as filler:
            while (over := self.free_bytes() - free_bytes) > 0:
                os.posix_fallocate(filler.fileno(), filler.tell(), over)
                filler.seek(0, os.SEEK_END)

    def free_bytes(self) -> int:
        disk = os.statvfs(self.disk)
        return disk.f_bavail * disk.f_frsize

    def make_room(self) -> None:
        (self.disk / "filler").unlink()

    def mqtt(self, vin: str, level: ProtocolLevel = ProtocolLevel.V5) -> Client:
        client = Client(self.platform.ready["mqtt"]["port"], level)
        account = self.files[vin]["mqtt"]
        client.connect(account["username"], account["client_id"], account["password"].encode())
        return client

    def publish(self, client: Client, vin: str, sequence: int) -> Any:
        """Publish one record; return what the server says to it, `None` when it just closes."""
        prefix = self.files[vin]["mqtt"]["publish_topic_prefix"]
        client.publish(f"{prefix}/telemetry/disk/{sequence}", b'{"Soc":1}', sequence + 1)
        return client.receive()

    def telemetry(self) -> ClientConnection:
        file = self.files[TELEMETRIST]
        context = ssl.create_default_context(cafile=file["ca_file"])
        context.load_cert_chain(file["cert_file"], file["key_file"])
        place = self.platform.ready["telemetry"]
        url = f"wss://{place['host']}:{place['port']}/"
        return connect(url, ssl=context, compression=None, open_timeout=60)

    def record(self, link: ClientConnection, number: int) -> Any:
        """Send one record; return the answer, or the close code and reason."""
        sender = f"vehicle_device.{TELEMETRIST}".encode()
        payload = v_payload(TELEMETRIST, number)
        link.send(envelope(b"disk-%08d" % number, b"V", sender, 1_700_000_000 + number, payload))
        try:
            return link.recv(20)
        except websockets.ConnectionClosed as closed:
            return closed.rcvd and (closed.rcvd.code, closed.rcvd.reason)

    def ask(self, method: str, path: str) -> HttpAnswer:
        async def ask() -> HttpAnswer:
            link = HttpLink(self.platform.ready["api"]["url"], self.platform.ready["admin_token"])
            try:
                return await link.request(method, path, {} if method == "POST" else None)
            finally:
                link.close()

        return asyncio.run(asyncio.wait_for(ask(), 30))

    def honk(self) -> HttpAnswer:
        return self.ask("POST", f"/api/1/vehicles/{COMMANDED}/command/honk_horn")


def obey(client: Client, file: dict[str, Any]) -> None:
    """A car that executes everything, until its connection ends."""
    with contextlib.suppress(AssertionError, OSError):
        for packet_id in range(1, 1_000):
            command = json.loads(client.take().payload)
            answer = Answer(id=command["id"], state="executed", counter=command["counter"])
            topic = f"{file['mqtt']['publish_topic_prefix']}/command_answers"
            client.publish(topic, write_up(answer), packet_id)
            client.expect(Puback)


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """Outside of pytest's own directory, which another pytest may tidy away while it is mounted."""
    directory = Path(tempfile.mkdtemp(prefix="full-disk-"))
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)]
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        directory.rmdir()
        pytest.skip("no right to mount a small file system here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


@pytest.fixture(scope="module")
def town(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Play the whole scene once; the tests look at what was seen."""
    files = add_vehicles(disk / "data", VINS, tmp_path_factory.mktemp("vehicles"))
    platform = Platform(disk / "data", SETTINGS)
    town = Town(platform, files, disk)
    try:
        platform.start()
        car = town.mqtt(COMMANDED)
        car.socket.settimeout(120)
        car.subscribe(files[COMMANDED]["mqtt"]["command_topic"])
        obeying = threading.Thread(target=obey, args=(car, files[COMMANDED]), daemon=True)
        obeying.start()
        play(town)
    finally:
        with contextlib.suppress(FileNotFoundError):
            town.make_room()
        town.seen["exit code"] = platform.stop()
    obeying.join(30)
    for vin in VINS:
        town.seen[f"stored {vin}"] = stored(disk / "data", vin)
    return town


def play(town: Town) -> None:
    """Room, none for bulk, none at all, room again."""
    seen = town.seen
    eventually(lambda: "motorcade reader" in map(title, town.platform.children()))  # the last one
    seen["processes"] = sorted(town.platform.children())
    new, old = town.mqtt(NEW), town.mqtt(OLD, ProtocolLevel.V3_1_1)
    link = town.telemetry()
    seen["before"] = (town.publish(new, NEW, 0), town.publish(old, OLD, 0), town.record(link, 0))

    town.leave_free(BULK_REFUSED)
    seen["new"] = town.publish(new, NEW, 1)
    seen["new again"] = town.publish(new, NEW, 2)  # on the same connection
    seen["old"] = town.publish(old, OLD, 1)
    seen["telemetry"] = town.record(link, 1)
    seen["read"] = town.ask("GET", f"/api/1/vehicles/{NEW}")
    seen["command"] = town.honk()
    with town.mqtt(OLD, ProtocolLevel.V3_1_1) as late:  # who comes now may come
        seen["subscribed"] = late.subscribe(town.files[OLD]["mqtt"]["command_topic"])

    town.leave_free(ALL_REFUSED)
    seen["command, no room at all"] = town.honk()
    seen["read, no room at all"] = town.ask("GET", f"/api/1/vehicles/{NEW}")
    seen["new, no room at all"] = town.publish(new, NEW, 3)

    town.make_room()
    old, link = town.mqtt(OLD, ProtocolLevel.V3_1_1), town.telemetry()
    seen["after"] = (town.publish(new, NEW, 4), town.publish(old, OLD, 4), town.record(link, 4))
    seen["command after"] = town.honk()
    seen["processes after"] = sorted(town.platform.children())
    for client in (new, old):
        client.socket.close()
    link.close()


def test_with_room_all_is_acknowledged(town: Town) -> None:
    for when in ("before", "after"):
        new, old, telemetry = town.seen[when]
        assert isinstance(new, Puback)
        assert new.reason is Reason.SUCCESS
        assert isinstance(old, Puback)
        assert b"disk-" in telemetry


def test_mqtt_5_is_told_quota_exceeded_and_may_stay(town: Town) -> None:
    for which in ("new", "new again", "new, no room at all"):
        puback = town.seen[which]
        assert isinstance(puback, Puback)
        assert puback.reason is Reason.QUOTA_EXCEEDED
        assert "disk is full" in (puback.properties.reason_string or "")


def test_mqtt_3_1_1_is_closed_without_an_ack(town: Town) -> None:
    assert town.seen["old"] is None


def test_fleet_telemetry_is_closed_with_try_again_later_and_no_ack(town: Town) -> None:
    code, reason = town.seen["telemetry"]
    assert code == 1013
    assert "disk is full" in reason


def test_reads_and_commands_go_on_in_the_reserve(town: Town) -> None:
    assert town.seen["read"].status == 200
    assert town.seen["command"].status == 200
    assert town.seen["command"].body["response"]["result"] is True
    assert town.seen["subscribed"] == (Reason.GRANTED_QOS_1,)


def test_without_any_room_commands_are_refused_and_reads_go_on(town: Town) -> None:
    refusal = town.seen["command, no room at all"]
    assert refusal.status == 507
    assert "disk is full" in json.dumps(refusal.body)
    assert "retry-after" in refusal.headers
    assert town.seen["read, no room at all"].status == 200


def test_it_recovers_by_itself(town: Town) -> None:
    assert town.seen["command after"].status == 200, town.seen["command after"].body
    assert town.seen["processes after"] == town.seen["processes"], "a process was restarted"
    assert town.seen["exit code"] == 0


def test_what_was_refused_is_not_there_and_what_was_acknowledged_is(town: Town) -> None:
    for vin in (NEW, OLD):
        stored = town.seen[f"stored {vin}"]
        assert [record["sender_sequence"] for record in stored] == [0, 4]
    assert [number_of(record) for record in town.seen[f"stored {TELEMETRIST}"]] == [0, 4]
