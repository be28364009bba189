"""paho-mqtt, aiomqtt and mosquitto_pub/sub behind one small face each, so that a test takes any.

Nothing of them is changed: only their documented options are used.
"""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.engines.install import mosquitto as install_mosquitto
from tests.interop.town import S_MAX, Message, Town, Vehicle

SESSION_S = 600


@dataclass(frozen=True)
class Way:
    """How a client connects."""

    version: str  # 311 or 5
    link: str  # tcp, tls, or certificate: TLS with a client certificate and no password

    @property
    def v5(self) -> bool:
        return self.version == "5"

    def address(self, town: Town) -> tuple[str, int]:
        return town.address("mqtt" if self.link == "tcp" else "mqtts")


def topic_of(vehicle: Vehicle, way: Way, number: int) -> str:
    """Where message `number` goes: on 3.1.1 its stream and sequence are topic levels."""
    topic = f"{vehicle['mqtt']['publish_topic_prefix']}/telemetry"
    return topic if way.v5 else f"{topic}/trip/{number}"


# --- mosquitto_pub, mosquitto_sub ----------------------------------------------------------------


def mosquitto(program: str, town: Town, way: Way, vehicle: Vehicle, *more: str) -> list[str]:
    """The command line of one of Mosquitto's tools, as a vehicle."""
    install_mosquitto()
    host, port = way.address(town)
    words = [program, "-V", way.version, "-h", host, "-p", str(port)]
    words += ["-i", vehicle["mqtt"]["client_id"]]
    if way.link != "tcp":
        words += ["--cafile", vehicle["ca_file"]]
    if way.link == "certificate":
        words += ["--cert", vehicle["cert_file"], "--key", vehicle["key_file"]]
    else:
        words += ["-u", vehicle["mqtt"]["username"], "-P", vehicle["mqtt"]["password"]]
    return [*words, *more]


def run(command: Sequence[str], data: bytes | None = None) -> bytes:
    """Run a tool that must succeed; return what it printed."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=S_MAX, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr!r}"
    return done.stdout


def mosquitto_sends(town: Town, way: Way, vehicle: Vehicle, messages: Sequence[Message]) -> None:
    for number, message in enumerate(messages):
        words = ["-t", topic_of(vehicle, way, number), "-q", str(message.qos), "-s"]
        if way.v5:
            words += ["-D", "publish", "user-property", "stream", "trip"]
            words += ["-D", "publish", "user-property", "sequence", str(number)]
            if message.content_type:
                words += ["-D", "publish", "content-type", message.content_type]
        run(mosquitto("mosquitto_pub", town, way, vehicle, *words), message.payload)


# --- paho-mqtt -----------------------------------------------------------------------------------


class Paho:
    """paho-mqtt with its thread, as its documentation has it. `with Paho(...) as car:`."""

    def __init__(
        self,
        town: Town,
        way: Way,
        account: dict[str, str],
        *,
        vehicle: Vehicle | None = None,
        resume: bool = False,
    ) -> None:
        clean = {} if way.v5 else {"clean_session": not resume}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            account["client_id"],
            protocol=paho.MQTTv5 if way.v5 else paho.MQTTv311,
            reconnect_on_failure=False,
            **clean,  # type: ignore[arg-type]
        )
        if way.link != "certificate":
            self.client.username_pw_set(account["username"], account["password"])
        if way.link != "tcp":
            assert vehicle is not None
            files = {"certfile": vehicle["cert_file"], "keyfile": vehicle["key_file"]}
            self.client.tls_set(vehicle["ca_file"], **(files if way.link == "certificate" else {}))
        self.connack: Any = None
        self.present = False
        self.connack_properties: Any = None
        self.acks: dict[int, Any] = {}
        self.granted: list[Any] = []
        self.messages: list[paho.MQTTMessage] = []
        self.lost = False
        self._news = threading.Condition()
        self._address = way.address(town)
        self._options: dict[str, Any] = {}
        if way.v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_S if resume else 0
            self._options = {"clean_start": not resume, "properties": properties}

    def __enter__(self) -> "Paho":
        self.client.on_connect = self._connected
        self.client.on_disconnect = lambda *_: self._told(lost=True)
        self.client.on_publish = lambda _c, _u, number, reason, _p: self._told(ack=(number, reason))
        self.client.on_subscribe = lambda _c, _u, _n, reasons, _p: self._told(granted=reasons)
        self.client.on_message = lambda _c, _u, message: self._told(message=message)
        self.client.connect(*self._address, **self._options)
        self.client.loop_start()
        self.wait(lambda: self.connack is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def wait(self, happened: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(happened, S_MAX), "it never happened"

    def subscribe(self, topic_filter: str) -> list[Any]:
        """Subscribe at QoS 1; return the reason codes."""
        self.granted = []
        self.client.subscribe(topic_filter, qos=1)
        self.wait(lambda: bool(self.granted))
        return self.granted

    def publish(self, topic: str, payload: bytes, qos: int = 1, **more: Any) -> Any:
        """Publish; at QoS 1 return what the PUBACK said."""
        number = self.client.publish(topic, payload, qos, **more).mid
        self.wait(lambda: number in self.acks or self.lost)
        return self.acks.get(number)

    def _connected(self, _c: Any, _u: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._news:
            self.connack, self.present = reason, flags.session_present
            self.connack_properties = properties
            self._news.notify_all()

    def _told(
        self,
        *,
        lost: bool = False,
        ack: tuple[int, Any] | None = None,
        granted: Sequence[Any] = (),
        message: paho.MQTTMessage | None = None,
    ) -> None:
        with self._news:
            self.lost = self.lost or lost
            self.granted += granted
            if ack is not None:
                self.acks[ack[0]] = ack[1]
            if message is not None:
                self.messages.append(message)
            self._news.notify_all()


def publish_properties(message: Message, number: int) -> Properties:
    """MQTT 5: who numbers, and what it is."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("stream", "trip"), ("sequence", str(number))]
    if message.content_type:
        properties.ContentType = message.content_type
    return properties


def paho_sends(town: Town, way: Way, vehicle: Vehicle, messages: Sequence[Message]) -> None:
    with Paho(town, way, vehicle["mqtt"], vehicle=vehicle) as car:
        assert not car.connack.is_failure
        for number, message in enumerate(messages):
            properties = publish_properties(message, number) if way.v5 else None
            topic = topic_of(vehicle, way, number)
            car.publish(topic, message.payload, message.qos, properties=properties)


# --- aiomqtt -------------------------------------------------------------------------------------


def aiomqtt_client(
    town: Town, way: Way, account: dict[str, str], vehicle: Vehicle, **more: Any
) -> aiomqtt.Client:
    """A client of aiomqtt, not connected yet."""
    tls: dict[str, Any] = {}
    if way.link == "certificate":
        tls["tls_params"] = aiomqtt.TLSParameters(
            vehicle["ca_file"], vehicle["cert_file"], vehicle["key_file"]
        )
    elif way.link == "tls":
        tls["tls_params"] = aiomqtt.TLSParameters(vehicle["ca_file"])
    if way.link != "certificate":
        tls |= {"username": account["username"], "password": account["password"]}
    host, port = way.address(town)
    protocol = aiomqtt.ProtocolVersion.V5 if way.v5 else aiomqtt.ProtocolVersion.V311
    name = account.get("client_id")
    return aiomqtt.Client(
        host, port, identifier=name, protocol=protocol, timeout=S_MAX, **tls, **more
    )


def resuming(way: Way) -> dict[str, Any]:
    """aiomqtt's options for a session that outlives the connection."""
    if not way.v5:
        return {"clean_session": False}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_S
    return {"clean_start": False, "properties": properties}


def aiomqtt_sends(town: Town, way: Way, vehicle: Vehicle, messages: Sequence[Message]) -> None:
    async def send() -> None:
        async with aiomqtt_client(town, way, vehicle["mqtt"], vehicle) as car:
            for number, message in enumerate(messages):
                properties = publish_properties(message, number) if way.v5 else None
                topic = topic_of(vehicle, way, number)
                await car.publish(topic, message.payload, message.qos, properties=properties)

    asyncio.run(send())
