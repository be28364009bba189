"""Clients that nobody here wrote, unmodified: paho-mqtt, aiomqtt, mosquitto_pub, mosquitto_sub."""

import asyncio
import itertools
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from motorcade.events import Encoding, Topic
from motorcade.identity.authority import Authority, open_authority
from motorcade.identity.tls import mqtts_context
from motorcade.wire.mqtt.publish import Puback
from tests.engines.install import mosquitto as install_mosquitto
from tests.gateway.mqtt.harness import OPERATOR, OTHER, PASSWORD, TOKEN, RunningDoor
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"
COMMANDS = f"v/{TOKEN}/commands"
JSON = b'{"time_us": 1700000000000000, "signals": {"vehicle_speed": 12.5}}'


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    """Debian's mosquitto-clients: where they cannot be had, all fails here and skips nothing."""
    install_mosquitto()


@dataclass
class Secured:
    """A door with both ports, and what clients need for TLS."""

    door: RunningDoor
    authority: Authority
    certificate: Path
    key: Path

    def port(self, tls: bool) -> int:
        return self.door.tls_port if tls else self.door.port

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.ca_file))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("door")
    authority = open_authority(directory, "127.0.0.1")
    issued = authority.issue_vehicle("VIN0")
    certificate, key = directory / "car.pem", directory / "car.key"
    certificate.write_bytes(issued.certificate_pem)
    key.write_bytes(issued.key_pem)
    with RunningDoor(directory, ssl_context=mqtts_context(authority)) as door:
        yield Secured(door, authority, certificate, key)


numbers = itertools.count()
MATRIX = pytest.mark.parametrize(
    ("version", "tls"), list(itertools.product(["311", "5"], [False, True]))
)


def payload() -> bytes:
    """Never the same twice, so that a record is found by it."""
    return JSON[:-1] + b', "n": %d}' % next(numbers)


def stored(secured: Secured, data: bytes) -> Encoding:
    """The encoding of the one record with this payload."""
    (record,) = (r for r in secured.door.records(Topic.TELEMETRY) if r.payload == data)
    return record.encoding


def mosquitto(secured: Secured, program: str, version: str, tls: bool, *more: str) -> list[str]:
    base = [program, "-V", version, "-h", "localhost", "-p", str(secured.port(tls)), "-q", "1"]
    if tls:
        base += ["--cafile", str(secured.authority.ca_file), "--tls-version", "tlsv1.3"]
    return [*base, *more]


def as_car(*more: str) -> list[str]:
    return ["-i", TOKEN, "-u", TOKEN, "-P", PASSWORD, *more]


@MATRIX
def test_mosquitto_publishes_and_receives(secured: Secured, version: str, tls: bool) -> None:
    data = payload()
    publish = mosquitto(secured, "mosquitto_pub", version, tls)
    done = subprocess.run(
        [*publish, *as_car("-t", TELEMETRY, "-s")], input=data, timeout=20, check=False
    )
    assert done.returncode == 0
    assert stored(secured, data) is Encoding.JSON_SIGNALS

    listen = mosquitto(secured, "mosquitto_sub", version, tls, "-c")
    listen += ["-x", "600"] if version == "5" else []
    listen += as_car("-t", COMMANDS, "-C", "1", "-W", "15")
    register = [*listen, "-E"]  # subscribes, then leaves a session behind
    assert subprocess.run(register, timeout=20, check=False).returncode == 0
    operator = ["-u", OPERATOR, "-P", PASSWORD, "-t", COMMANDS, "-m", f"while away {data!r}"]
    assert subprocess.run([*publish, *operator], timeout=20, check=False).returncode == 0
    heard = subprocess.run(listen, capture_output=True, text=True, timeout=20, check=False)
    assert heard.stdout.strip() == f"while away {data!r}"


@MATRIX
def test_mosquitto_retains_at_qos_2(secured: Secured, version: str, tls: bool) -> None:
    topic = f"v/{TOKEN}/diagnostics"
    kept = f"kept {next(numbers)}"
    publish = [*mosquitto(secured, "mosquitto_pub", version, tls), "-q", "2", "-r"]
    done = subprocess.run([*publish, *as_car("-t", topic, "-m", kept)], timeout=20, check=False)
    assert done.returncode == 0
    listen = [*mosquitto(secured, "mosquitto_sub", version, tls), "-q", "2", "-C", "1", "-W", "15"]
    listen += ["-u", OPERATOR, "-P", PASSWORD, "-t", "v/+/diagnostics", "-F", "%r %q %p"]
    heard = subprocess.run(listen, capture_output=True, text=True, timeout=20, check=False)
    assert heard.stdout.strip() == f"1 2 {kept}"


def test_mosquitto_shares(secured: Secured) -> None:
    listen = [*mosquitto(secured, "mosquitto_sub", "5", False), "-C", "2", "-W", "15"]
    listen += ["-u", OPERATOR, "-P", PASSWORD, "-t", "$share/g/jobs/+", "-F", "%p"]
    members = [subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    groups = secured.door.door._sessions._groups
    while sum(len(group.members) for group in list(groups.values())) < 2:
        assert all(member.poll() is None for member in members)
    with Client(secured.door.port) as people:
        people.connect(OPERATOR, "people")
        for number in range(4):
            people.publish(f"jobs/{number}", b"%d" % number)
            people.expect(Puback)
    heard = [member.communicate(timeout=20)[0].split() for member in members]
    assert [len(each) for each in heard] == [2, 2]
    assert sorted(itertools.chain(*heard)) == ["0", "1", "2", "3"]


class Paho:
    """paho-mqtt with its thread, as its documentation has it."""

    def __init__(self, secured: Secured, version: str, tls: bool, *, resume: bool = False) -> None:
        v5 = version == "5"
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            TOKEN,
            protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
            **({} if v5 else {"clean_session": not resume}),  # type: ignore[arg-type]
        )
        self.client.username_pw_set(TOKEN, PASSWORD)
        if tls:
            self.client.tls_set(str(secured.authority.ca_file))
        self.messages: list[paho.MQTTMessage] = []
        self.present: bool | None = None
        self._events = {name: threading.Event() for name in ("connected", "subscribed", "message")}
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self._events["subscribed"].set()
        self.client.on_message = self._message
        options: dict[str, Any] = {}
        if v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 600 if resume else 0
            options = {"clean_start": not resume, "properties": properties}
        self.client.connect("localhost", secured.port(tls), **options)
        self.client.loop_start()
        self.wait("connected")

    def wait(self, event: str) -> None:
        assert self._events[event].wait(10), f"no {event}"

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _connected(self, _c: Any, _u: Any, flags: Any, reason: Any, _p: Any) -> None:
        assert not reason.is_failure
        self.present = flags.session_present
        self._events["connected"].set()

    def _message(self, _c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        self._events["message"].set()


@MATRIX
def test_paho_publishes_resumes_and_receives(secured: Secured, version: str, tls: bool) -> None:
    Paho(secured, version, tls).leave()  # a clean start forgets what other tests left
    car = Paho(secured, version, tls, resume=True)
    assert car.present is False
    car.client.subscribe(COMMANDS, qos=1)
    car.wait("subscribed")
    data = [payload() for _ in range(30)]
    for each in data:
        sent = car.client.publish(TELEMETRY, each, qos=1)
        sent.wait_for_publish(10)
    car.leave()
    assert all(stored(secured, each) is Encoding.JSON_SIGNALS for each in data)

    with Client(secured.door.port) as people:
        people.connect(OPERATOR, "sender")
        people.publish(COMMANDS, b"open")
        people.receive()
    car = Paho(secured, version, tls, resume=True)
    assert car.present is True
    car.wait("message")
    assert [(m.topic, m.payload, m.qos) for m in car.messages] == [(COMMANDS, b"open", 1)]
    car.leave()


@MATRIX
def test_aiomqtt_publishes_and_receives(secured: Secured, version: str, tls: bool) -> None:
    data = payload()

    async def talk() -> bytes:
        protocol = aiomqtt.ProtocolVersion.V5 if version == "5" else aiomqtt.ProtocolVersion.V311
        common: dict[str, Any] = {
            "hostname": "localhost",
            "port": secured.port(tls),
            "protocol": protocol,
            "password": PASSWORD,
            "tls_context": secured.context() if tls else None,
        }
        car = aiomqtt.Client(identifier=TOKEN, username=TOKEN, **common)
        people = aiomqtt.Client(identifier="aiomqtt", username=OPERATOR, **common)
        async with car, people:
            await people.subscribe("v/+/telemetry", qos=1)
            await car.publish(TELEMETRY, data, qos=1)
            async with asyncio.timeout(10):
                async for message in people.messages:
                    return bytes(message.payload)  # type: ignore[arg-type]
        raise AssertionError

    assert asyncio.run(talk()) == data
    assert stored(secured, data) is Encoding.JSON_SIGNALS


@pytest.mark.parametrize("version", ["311", "5"])
def test_a_client_certificate_is_enough(secured: Secured, version: str) -> None:
    data = payload()
    publish = mosquitto(secured, "mosquitto_pub", version, True, "-i", TOKEN)
    certificate = ["--cert", str(secured.certificate), "--key", str(secured.key)]
    done = subprocess.run(
        [*publish, *certificate, "-t", TELEMETRY, "-s"], input=data, timeout=20, check=False
    )
    assert done.returncode == 0
    assert stored(secured, data) is Encoding.JSON_SIGNALS
    other = ["-t", f"v/{OTHER}/telemetry", "-m", "x"]
    subprocess.run([*publish, *certificate, *other], timeout=20, check=False)
    assert all(record.vehicle == TOKEN for record in secured.door.records(Topic.TELEMETRY))


def test_a_strange_certificate_is_refused(secured: Secured, tmp_path: Path) -> None:
    stranger = open_authority(tmp_path, "127.0.0.1").issue_vehicle("VIN0")
    certificate, key = tmp_path / "car.pem", tmp_path / "car.key"
    certificate.write_bytes(stranger.certificate_pem)
    key.write_bytes(stranger.key_pem)
    publish = mosquitto(secured, "mosquitto_pub", "5", True, "-i", TOKEN)
    more = ["--cert", str(certificate), "--key", str(key), "-t", TELEMETRY, "-m", "x"]
    assert subprocess.run([*publish, *more], timeout=20, check=False).returncode != 0
