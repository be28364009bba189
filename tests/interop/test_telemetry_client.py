"""A WebSocket client written from the protocol page alone, against the whole platform: its answers,
what `motorcade export` then holds, and where the VIN is not."""

import asyncio
import base64
import contextlib
import json
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websockets

from tests.audit.senders import envelope
from tests.interop.town import S_MAX, Town, Vehicle, tesla_datum
from tests.platform_process import stored

STREAM, ACK = 4, 5
SECONDS = 1_760_000_000
LIMIT = 1_000_000
FLOOD = 50_000  # frames: their answers are more than any buffer between us holds
FIELDS = {
    *("vin", "token", "sequence", "sender_stream", "sender_sequence"),
    *("event_time_us", "received_time_us", "encoding", "payload_base64", "name"),
}


@dataclass(frozen=True)
class Answer:
    tag: int
    txid: bytes
    topic: bytes
    payload: bytes


def read_answer(data: bytes) -> Answer:
    """The parts of an answer that a car reads: the page's §1.3, by hand."""
    root = struct.unpack_from("<I", data)[0]
    tag_at = _field(data, root, 2)
    tag = data[tag_at] if tag_at else 0
    payload = b""
    message_at = _field(data, root, 3)
    if tag == STREAM and message_at:
        inner = message_at + struct.unpack_from("<I", data, message_at)[0]
        payload = _vector(data, inner, 2)
    return Answer(tag, _vector(data, root, 0), _vector(data, root, 1), payload)


def _field(data: bytes, table: int, slot: int) -> int:
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * slot >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * slot)[0]
    return table + offset if offset else 0


def _vector(data: bytes, table: int, slot: int) -> bytes:
    at = _field(data, table, slot)
    if not at:
        return b""
    at += struct.unpack_from("<I", data, at)[0]
    return data[at + 4 : at + 4 + struct.unpack_from("<I", data, at)[0]]


@asynccontextmanager
async def connected(
    town: Town, vehicle: Vehicle, **more: Any
) -> AsyncIterator[websockets.ClientConnection]:
    """A car's connection, mutual TLS."""
    context = ssl.create_default_context(cafile=vehicle["ca_file"])
    context.load_cert_chain(vehicle["cert_file"], vehicle["key_file"])
    host, port = town.address("telemetry")
    async with websockets.connect(
        f"wss://{host}:{port}/", ssl=context, compression=None, open_timeout=S_MAX, **more
    ) as link:
        yield link


async def exchange(town: Town, vehicle: Vehicle, frames: Sequence[bytes]) -> list[Answer]:
    """Send all, then read one answer for each."""
    async with connected(town, vehicle) as link, asyncio.timeout(S_MAX):
        for frame in frames:
            await link.send(frame)
        answers = [await link.recv() for _ in frames]
    return [read_answer(bytes(answer)) for answer in answers if isinstance(answer, bytes)]


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def part(field: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(field << 3 | 2) + varint(len(content)) + content


CREATED = part(2, b"\x08" + varint(SECONDS))


def records_of(vin: bytes) -> list[tuple[bytes, bytes]]:
    """(topic, payload) of every record type of the page's §1.7, the VIN where each has it."""
    speed, unknown = tesla_datum(4, b"\x0a\x0427.5"), tesla_datum(8, b"\x3a\x02\x08\x01")
    alert = part(1, part(1, b"BMS_a066") + b"\x12\x01\x01")
    error = part(1, part(2, b"TooHot") + part(4, b"body"))
    metric = part(1, part(1, b"uptime") + b"\x19" + struct.pack("<d", 5.0))
    status = (
        part(1, vin) + part(2, b"its-own-id") + b"\x18\x01" + part(4, b"\x08" + varint(SECONDS))
    )
    return [
        (b"V", speed + unknown + CREATED + part(3, vin)),
        (b"V", CREATED),  # no VIN: one is appended
        (b"V", b""),
        (b"alerts", alert + CREATED + part(3, vin)),
        (b"errors", error + CREATED + part(3, vin)),
        (b"metrics", metric + CREATED + part(3, vin)),
        (b"connectivity", status),
        (b"a_new_type", b"nobody knows this"),
    ]


def frame(number: int, topic: bytes, payload: bytes, vin: str, created: int = SECONDS) -> bytes:
    sender = f"vehicle_device.{vin}".encode()
    return envelope(b"tx-%d" % number, topic, sender, created, payload)


def lines_of(town: Town, vehicle: Vehicle, topic: str) -> list[dict[str, Any]]:
    return stored(town.platform.data, vehicle["vin"], topic)


def payload_of(line: dict[str, Any]) -> bytes:
    return base64.b64decode(line["payload_base64"])


def test_every_record_type_is_acked_and_comes_out_under_its_topic(town: Town) -> None:
    vehicle = town.vehicle()
    vin, token = vehicle["vin"].encode(), vehicle["token"].encode()
    records = records_of(vin)
    frames = [frame(n, *record, vehicle["vin"]) for n, record in enumerate(records)]
    answers = asyncio.run(exchange(town, vehicle, frames))
    assert [(answer.tag, answer.txid, answer.topic) for answer in answers] == [
        (ACK, b"tx-%d" % number, topic) for number, (topic, _) in enumerate(records)
    ]
    assert asyncio.run(exchange(town, vehicle, frames)) == answers  # resent: acked again

    stored = {topic: lines_of(town, vehicle, topic) for topic in ("telemetry", "diagnostics")}
    for topic, names in (("telemetry", b"V"), ("diagnostics", b"alerts errors metrics a_new_type")):
        sent_there = [record for record in records if record[0] in names.split()]
        assert [line["name"].encode() for line in stored[topic]] == [name for name, _ in sent_there]
        for line, (_, sent) in zip(stored[topic], sent_there, strict=True):
            assert set(line) == FIELDS
            assert (line["vin"], line["token"]) == (vehicle["vin"], vehicle["token"])
            assert line["event_time_us"] == SECONDS * 1_000_000
            assert payload_of(line).startswith(sent.replace(vin, token))
    assert [payload_of(line) for line in stored["telemetry"]] == [
        records[0][1].replace(vin, token),
        records[1][1] + part(3, token),
        part(3, token),
    ]
    connectivity = lines_of(town, vehicle, "connectivity")
    own = [line for line in connectivity if b"its-own-id" in payload_of(line)]
    assert [payload_of(line) for line in own] == [records[6][1].replace(vin, token)]
    assert len(connectivity) >= 5  # ours: came, went, twice
    assert all(set(line) == FIELDS for line in connectivity)


def test_decoded_telemetry(town: Town) -> None:
    vehicle = town.vehicle()
    data = tesla_datum(4, b"\x0a\x0427.5") + tesla_datum(64, b"\x0a\x03Ada") + CREATED
    asyncio.run(exchange(town, vehicle, [frame(0, b"V", data, vehicle["vin"])]))
    (line,) = stored(town.platform.data, vehicle["vin"], decoded=True)
    (reading,) = line["decoded"]
    assert reading["time_us"] == SECONDS * 1_000_000
    assert reading["signals"] == {"VehicleSpeed": 27.5, "VehicleName": "Ada"}


def test_what_gets_which_answer(town: Town) -> None:
    vehicle, other = town.vehicle(), town.vehicle()
    good = frame(1, b"V", CREATED, vehicle["vin"])
    foreign = frame(2, b"what", b"x", other["vin"])
    broken = frame(3, b"V", b"\x0a\xff", vehicle["vin"])
    tag = bytearray(frame(4, b"V", CREATED, vehicle["vin"]))
    tag[_field(bytes(tag), struct.unpack_from("<I", tag)[0], 2)] = 3
    frames = [good, foreign, broken, bytes(tag), b"", b"no flatbuffer", b"\0" * (LIMIT + 1), good]
    error = b"incorrect message format"
    assert asyncio.run(exchange(town, vehicle, frames)) == [
        Answer(ACK, b"tx-1", b"V", b""),
        Answer(STREAM, b"tx-2", b"", error),
        Answer(STREAM, b"tx-3", b"", error),
        Answer(ACK, b"tx-4", b"", b""),
        Answer(ACK, b"", b"", b""),
        Answer(STREAM, b"", b"", error),
        Answer(STREAM, b"", b"", error),
        Answer(ACK, b"tx-1", b"V", b""),
    ]
    assert len(lines_of(town, vehicle, "telemetry")) == 1
    assert lines_of(town, vehicle, "diagnostics") == []


def test_what_is_over_the_rate_limit_is_told_and_not_stored(town: Town) -> None:
    vehicle = town.vehicle()
    frames = [frame(n, b"V", CREATED, vehicle["vin"], SECONDS + n) for n in range(1_500)]
    answers = asyncio.run(exchange(town, vehicle, frames))
    assert [answer.txid for answer in answers] == [b"tx-%d" % n for n in range(1_500)]
    acked = [answer for answer in answers if answer.tag == ACK]
    told = [answer for answer in answers if answer.payload == b"rate limit exceeded"]
    assert len(acked) >= 500
    assert told
    assert len(acked) + len(told) == 1_500
    assert len(lines_of(town, vehicle, "telemetry")) == len(acked)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024
    raise AssertionError


def test_a_20_mb_frame_is_refused_without_being_held(town: Town) -> None:
    vehicle = town.vehicle()

    async def send() -> int | None:
        async with connected(town, vehicle) as link, asyncio.timeout(S_MAX):
            with contextlib.suppress(websockets.ConnectionClosed):
                await link.send(b"\0" * (20 << 20))
                await link.recv()
            return link.close_code

    before = peak_bytes(town.platform.child("gateway"))
    assert asyncio.run(send()) == 1009
    assert peak_bytes(town.platform.child("gateway")) - before < 8 << 20


def test_a_vehicle_that_reads_no_answers_disturbs_nobody(town: Town) -> None:
    stalled, vehicle = town.vehicle(), town.vehicle()

    async def flood(link: websockets.ClientConnection) -> None:
        for number in range(FLOOD):
            await link.send(frame(number, b"V", CREATED, stalled["vin"]))
            await asyncio.sleep(0)  # a send that need not wait gives nobody else a turn

    async def both() -> list[Answer]:
        async with connected(town, stalled, max_queue=1) as link:
            flooding = asyncio.create_task(flood(link))
            answers = []
            for number in range(5):
                answers += await exchange(
                    town, vehicle, [frame(number, b"V", CREATED, vehicle["vin"])]
                )
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
            link.transport.abort()  # a goodbye would wait for the answers before it
        return answers

    answers = asyncio.run(both())
    assert [answer.tag for answer in answers] == [ACK] * 5


def test_the_vin_is_in_the_registry_and_nowhere_else(town: Town) -> None:
    """P8. All files of the data directory, after all traffic that the platform has seen."""
    vehicle = town.vehicle()
    vin = vehicle["vin"].encode()
    asyncio.run(
        exchange(
            town,
            vehicle,
            [frame(n, *record, vehicle["vin"]) for n, record in enumerate(records_of(vin))],
        )
    )
    assert town.ask("GET", f"/{vehicle['vin']}").status == 200
    soon = {"X-Command-Expires-S": "1"}
    asleep = town.ask("POST", f"/{vehicle['vin']}/command/honk_horn", {}, headers=soon)
    assert asleep.status == 408
    start = vin[:11]  # of every vehicle of this platform
    files = [path for path in town.platform.data.rglob("*") if path.is_file()]
    holding = {path.name for path in files if start in path.read_bytes()}
    assert holding == {"registry.sqlite"}
    assert start.decode() not in town.platform.log()
    assert any(vehicle["token"].encode() in path.read_bytes() for path in files)
    assert json.loads((town.platform.data / "ready.json").read_text())["pid"]
