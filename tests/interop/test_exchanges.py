"""Unmodified clients, both versions, every link, every QoS: what each publishes comes back to it.

paho-mqtt, aiomqtt, gmqtt, Mosquitto's tools and MQTT.js on TCP, TLS, WebSocket and WebSocket over
TLS, as far as each speaks them, against `motorcade up --open-broker`.
"""

import asyncio
import contextlib
import itertools
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.engines.install import gmqtt_client, mqttjs
from tests.engines.install import mosquitto as install_mosquitto
from tests.interop.town import S_MAX
from tests.platform_process import Platform

Heard = list[tuple[str, bytes, int]]
_numbers = itertools.count()


@dataclass(frozen=True)
class Way:
    """How a client connects."""

    version: str  # 311 or 5
    link: str  # tcp, tls, ws, wss
    host: str
    port: int
    ca_file: str

    @property
    def is_v5(self) -> bool:
        return self.version == "5"

    @property
    def is_encrypted(self) -> bool:
        return self.link in ("tls", "wss")

    @property
    def is_web(self) -> bool:
        return self.link in ("ws", "wss")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("open") / "data", options=["--open-broker"])
    running.start()
    yield running
    assert running.stop() == 0, running.log()


def with_paho(way: Way, topic: str) -> Heard:
    heard: Heard = []
    done = threading.Event()
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        topic,
        protocol=paho.MQTTv5 if way.is_v5 else paho.MQTTv311,
        transport="websockets" if way.is_web else "tcp",
    )
    if way.is_encrypted:
        client.tls_set(way.ca_file)

    def on_message(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        heard.append((message.topic, message.payload, message.qos))
        if len(heard) == 3:
            done.set()

    def on_subscribe(*_: Any) -> None:
        for qos in range(3):
            client.publish(f"{topic}/{qos}", b"at %d" % qos, qos)

    client.on_message, client.on_subscribe = on_message, on_subscribe
    client.on_connect = lambda *_: client.subscribe(f"{topic}/#", 2)
    client.connect(way.host, way.port)
    client.loop_start()
    try:
        assert done.wait(S_MAX), heard
    finally:
        client.disconnect()
        client.loop_stop()
    return heard


def with_aiomqtt(way: Way, topic: str) -> Heard:
    async def exchange() -> Heard:
        heard: Heard = []
        async with aiomqtt.Client(
            way.host,
            way.port,
            identifier=topic,
            protocol=aiomqtt.ProtocolVersion.V5 if way.is_v5 else aiomqtt.ProtocolVersion.V311,
            transport="websockets" if way.is_web else "tcp",
            tls_params=aiomqtt.TLSParameters(way.ca_file) if way.is_encrypted else None,
            timeout=S_MAX,
        ) as client:
            await client.subscribe(f"{topic}/#", qos=2)
            for qos in range(3):
                await client.publish(f"{topic}/{qos}", b"at %d" % qos, qos=qos)
            async with asyncio.timeout(S_MAX):
                async for message in client.messages:
                    heard.append((str(message.topic), bytes(message.payload), message.qos))
                    if len(heard) == 3:
                        return heard
        raise AssertionError

    return asyncio.run(exchange())


def with_gmqtt(way: Way, topic: str) -> Heard:
    if (path := str(gmqtt_client())) not in sys.path:
        sys.path.append(path)
    import gmqtt  # type: ignore[import-untyped,unused-ignore,import-not-found]

    async def exchange() -> Heard:
        heard: Heard = []
        ready, done = asyncio.Event(), asyncio.Event()

        def on_message(_client: Any, name: str, payload: bytes, qos: int, _p: Any) -> int:
            heard.append((name, payload, qos))
            if len(heard) == 3:
                done.set()
            return 0

        client = gmqtt.Client(topic)
        client.on_message = on_message
        client.on_subscribe = lambda *_: ready.set()
        link = ssl.create_default_context(cafile=way.ca_file) if way.is_encrypted else False
        version = 5 if way.is_v5 else 4
        await client.connect(way.host, way.port, ssl=link, version=version)
        client.subscribe(f"{topic}/#", qos=2)
        async with asyncio.timeout(S_MAX):
            await ready.wait()
            for qos in range(3):
                client.publish(f"{topic}/{qos}", b"at %d" % qos, qos=qos)
            await done.wait()
        with contextlib.suppress(ssl.SSLError):  # it closes while the last PUBCOMP is on its way
            await client.disconnect()
        return heard

    return asyncio.run(exchange())


def with_mosquitto(way: Way, topic: str) -> Heard:
    install_mosquitto()
    address = ["-V", way.version, "-h", way.host, "-p", str(way.port)]
    address += ["--cafile", way.ca_file] if way.is_encrypted else []
    sub = ["mosquitto_sub", *address, "-i", topic, "-c", "-q", "2", "-t", f"{topic}/#"]
    sub += ["-x", "600"] if way.is_v5 else []
    subprocess.run([*sub, "-E"], check=True, timeout=S_MAX)  # leaves a session behind
    for qos in (1, 2):  # QoS 0 is not kept for who is away
        words = ["-t", f"{topic}/{qos}", "-m", f"at {qos}", "-q", str(qos)]
        subprocess.run(["mosquitto_pub", *address, *words], check=True, timeout=S_MAX)
    form = ["-C", "2", "-F", "%t %q %p"]
    done = subprocess.run([*sub, *form], check=True, timeout=S_MAX, capture_output=True, text=True)
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return [(name, payload.encode(), int(qos)) for name, qos, payload in lines]


def with_mqttjs(way: Way, topic: str) -> Heard:
    scheme = {"tcp": "mqtt", "tls": "mqtts"}.get(way.link, way.link)
    told = {
        "url": f"{scheme}://{way.host}:{way.port}" + ("/mqtt" if way.is_web else ""),
        "version": 5 if way.is_v5 else 4,
        "ca": way.ca_file if way.is_encrypted else None,
        "topic": topic,
    }
    words = ["node", str(Path(__file__).with_name("mqttjs_exchange.js")), json.dumps(told)]
    found = {**os.environ, "NODE_PATH": str(mqttjs() / "node_modules")}
    done = subprocess.run(
        words, timeout=S_MAX, capture_output=True, text=True, check=False, env=found
    )
    assert done.returncode == 0, done.stderr
    return [(name, payload.encode(), qos) for name, payload, qos in json.loads(done.stdout)]


EVERYWHERE, NO_WEB = ("tcp", "tls", "ws", "wss"), ("tcp", "tls")
CLIENTS: list[tuple[Callable[[Way, str], Heard], tuple[str, ...]]] = [
    (with_paho, EVERYWHERE),
    (with_aiomqtt, EVERYWHERE),
    (with_gmqtt, NO_WEB),
    (with_mosquitto, NO_WEB),
    (with_mqttjs, EVERYWHERE),
]
CASES = [
    pytest.param(client, version, link, id=f"{client.__name__[5:]}-{version}-{link}")
    for client, links in CLIENTS
    for version in ("311", "5")
    for link in links
]
DOORS = {"tcp": "mqtt", "tls": "mqtts", "ws": "mqtt_ws", "wss": "mqtt_wss"}


@pytest.mark.parametrize(("client", "version", "link"), CASES)
def test_what_a_client_publishes_comes_back(
    broker: Platform, client: Callable[[Way, str], Heard], version: str, link: str
) -> None:
    place = broker.ready[DOORS[link]]
    way = Way(version, link, place["host"], place["port"], broker.ready["ca_file"])
    topic = f"exchange-{next(_numbers)}"
    heard = client(way, topic)
    each_qos = (1, 2) if client is with_mosquitto else (0, 1, 2)
    assert sorted(heard) == [(f"{topic}/{qos}", b"at %d" % qos, qos) for qos in each_qos]
