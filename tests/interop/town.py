"""What the tests of this folder share: the running platform, messages, and what must be stored."""

import asyncio
import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tests.http_link import Answer, HttpLink
from tests.platform_process import Platform, run_motorcade, stored

S_MAX = 30.0  # for anything to happen; nothing is timed
TIME_US = 1_760_000_000_000_000

Vehicle = dict[str, Any]
"""A vehicle's `vehicle.json`."""


@dataclass
class Town:
    """The platform, and vehicles to take."""

    platform: Platform
    cars: Iterator[Vehicle]
    vins: list[str]

    def vehicle(self) -> Vehicle:
        """A vehicle of the test's own."""
        return next(self.cars)

    def address(self, name: str) -> tuple[str, int]:
        place = self.platform.ready[name]
        return place["host"], place["port"]

    def operator(self, name: str, *denied: str) -> dict[str, str]:
        """A new MQTT account, as the command line prints it."""
        words = ["operator", "add", "--data", str(self.platform.data), "--name", name, "--json"]
        for topic_filter in denied:
            words += ["--deny-subscribe", topic_filter]
        account: dict[str, str] = json.loads(run_motorcade(*words))
        return account

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request to the API."""

        async def request() -> Answer:
            ready = self.platform.ready
            link = HttpLink(ready["api"]["url"], token or ready["admin_token"])
            try:
                return await link.request(method, f"/api/1/vehicles{path}", body, headers)
            finally:
                link.close()

        return asyncio.run(request())

    def command(self, vehicle: Vehicle, name: str) -> "Future[Answer]":
        """Send a command; the future is its POST's answer."""
        answer: Future[Answer] = Future()

        def post() -> None:
            try:
                answer.set_result(self.ask("POST", f"/{vehicle['vin']}/command/{name}"))
            except BaseException as error:  # whatever it is, the test is to see it
                answer.set_exception(error)

        threading.Thread(target=post, daemon=True).start()
        return answer

    def stored(
        self, vehicle: Vehicle, count: int, topic: str = "telemetry", *, decoded: bool = True
    ) -> list[dict[str, Any]]:
        """The vehicle's exported records, once there are `count`: QoS 0 tells no one when."""
        deadline = time.monotonic() + S_MAX
        while True:
            lines = stored(self.platform.data, vehicle["vin"], topic, decoded=decoded)
            if len(lines) >= count or time.monotonic() > deadline:
                return lines
            time.sleep(0.02)


@dataclass(frozen=True)
class Message:
    """What a client sends, and what must come out of it."""

    payload: bytes
    content_type: str | None
    encoding: str  # as exported, when the content type is given
    plain_encoding: str  # ... and when it is not
    signals: dict[str, Any] | None = None
    qos: int = 1


def tesla_datum(field: int, value: bytes) -> bytes:
    datum = b"\x08" + bytes([field]) + b"\x12" + bytes([len(value)]) + value
    return b"\x0a" + bytes([len(datum)]) + datum


def tesla_payload(seconds: int) -> bytes:
    """A `V` protobuf: VehicleSpeed 27.5 as text, Soc 81.25 as a double. Written from the page."""
    text = b"27.5"
    data = tesla_datum(4, b"\x0a" + bytes([len(text)]) + text)
    data += tesla_datum(8, b"\x29" + struct.pack("<d", 81.25))
    created = b"\x08"
    while seconds > 0x7F:
        created += bytes([seconds & 0x7F | 0x80])
        seconds >>= 7
    created += bytes([seconds])
    return data + b"\x12" + bytes([len(created)]) + created


def packed_samples() -> bytes:
    """Two samples of one signal that no catalogue knows, as the layout of our columns says."""
    header = struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 1, 2, 0, TIME_US)
    columns = struct.pack("<2d2I2H", 1.5, -2.25, 0, 1_000, 1 << 15, 1 << 15)
    return header + columns + b"\x05boost"


OPAQUE, JSON = "application/octet-stream", "application/json"
TESLA, SAMPLES = "application/x-tesla-telemetry", "application/vnd.motorcade.samples"

READING = (
    b'{"time_us": %d, "signals": {"VehicleSpeed": 27.5, "Gear": "D", "Locked": true}}' % TIME_US
)
READINGS = b'[{"time_us": %d, "signals": {"Soc": 81}}, {"time_us": %d, "signals": {"Soc": 80}}]' % (
    TIME_US,
    TIME_US + 1,
)

MESSAGES = [
    Message(READING, JSON, JSON, JSON, {"VehicleSpeed": 27.5, "Gear": "D", "Locked": True}),
    Message(READINGS, JSON, JSON, OPAQUE, {"Soc": 81}),
    Message(tesla_payload(TIME_US // 1_000_000), TESLA, TESLA, OPAQUE, {"Soc": 81.25}),
    Message(packed_samples(), SAMPLES, SAMPLES, OPAQUE, {"boost": 1.5}),
    Message(bytes(range(256)) * 40, None, OPAQUE, OPAQUE),
    Message(b"\x00", "image/png", OPAQUE, OPAQUE),
    Message(READING[:-1] + b', "qos": 0}', None, JSON, JSON, {"Gear": "D"}, qos=0),
    Message(b"not at most, but once here" * 3_000, None, OPAQUE, OPAQUE, qos=0),
]
"""Every encoding, both QoS."""


def check(records: list[dict[str, Any]], vehicle: Vehicle, *, with_types: bool) -> None:
    """Hold what was exported against `MESSAGES`, sent in order as stream "trip", from 0 on."""
    assert [base64.b64decode(record["payload_base64"]) for record in records] == [
        message.payload for message in MESSAGES
    ]
    assert [(record["sender_stream"], record["sender_sequence"]) for record in records] == [
        ("trip", number) for number in range(len(MESSAGES))
    ]
    positions = [record["sequence"] for record in records]
    assert positions == sorted(set(positions))
    for record, message in zip(records, MESSAGES, strict=True):
        assert (record["vin"], record["token"]) == (vehicle["vin"], vehicle["token"])
        encoding = message.encoding if with_types else message.plain_encoding
        assert record["encoding"] == encoding
        if encoding == OPAQUE:
            assert record["decoded"] is None
            assert record["event_time_us"] == record["received_time_us"]
        else:
            assert record["event_time_us"] == TIME_US < record["received_time_us"]
            first = record["decoded"][0]
            assert first["time_us"] == TIME_US
            assert message.signals is not None
            assert message.signals.items() <= first["signals"].items()


def answer_of(command: bytes) -> bytes:
    """What a car says that has executed a command: `docs/protocols/commands.md` §4."""
    told = json.loads(command)
    assert told["type"] == "command"
    return json.dumps(
        {
            "type": "answer",
            "id": told["id"],
            "state": "executed",
            "reason": "",
            "time_us": time.time_ns() // 1_000,
            "counter": told["counter"],
        }
    ).encode()
