"""Every row of the protocol page's §1.4, with our differences, by a client that knows only it.

The differences are named in `docs/protocols/fleet-telemetry.md`.
"""

import asyncio
import os
import resource

import pytest
from tesla_protocol.telemetry.vehicle_alert_pb2 import VehicleAlerts
from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity
from tesla_protocol.telemetry.vehicle_data_pb2 import Payload
from tesla_protocol.telemetry.vehicle_error_pb2 import VehicleErrors
from tesla_protocol.telemetry.vehicle_metric_pb2 import VehicleMetrics

from motorcade.events import Encoding, Flags, Topic
from tests.gateway.telemetry.harness import (
    NOW_US,
    VIN,
    Keys,
    Told,
    message,
    run,
    serving,
)

REFUSED = b"incorrect message format"
ACK, ERROR = 5, 4
CREATED_S = NOW_US // 1_000_000 - 100
ANSWERED = [
    ("a record of a known type", message(b"V", b""), Told(ACK, b"tx-1", b"V"), 1),
    (
        "a payload that is no protobuf",
        message(b"V", b"\xff"),
        Told(ERROR, b"tx-1", b"", REFUSED),
        0,
    ),
    (
        "an unknown type under the vehicle's own sender id",
        message(b"dashcam", b"\xff", sender_id=f"vehicle_device.{VIN}".encode()),
        Told(ACK, b"tx-1", b"dashcam"),
        1,
    ),
    (
        "an unknown type under the vehicle's own device id",
        message(b"dashcam", b"\xff", sender_id=VIN.encode()),
        Told(ACK, b"tx-1", b"dashcam"),
        1,
    ),
    (
        "an unknown type under a foreign sender id",
        message(b"dashcam", b"\xff", sender_id=b"vehicle_device.5YJ3E1EA7KF000002"),
        Told(ERROR, b"tx-1", b"", REFUSED),
        0,
    ),
    (
        "an unknown type under no sender id",
        message(b"dashcam", b"\xff"),
        Told(ERROR, b"tx-1", b"", REFUSED),
        0,
    ),
    ("another union tag", message(b"V", b"", tag=5), Told(ACK, b"tx-1", b""), 0),
    ("an empty frame", b"", Told(ACK, b"", b""), 0),
    ("no flatbuffer", b"good morning, server", Told(ERROR, b"", b"", REFUSED), 0),
    ("a large frame of nothing", bytes(1_000_000), Told(ERROR, b"", b"", REFUSED), 0),
    ("a frame over a million bytes", bytes(1_000_001), Told(ERROR, b"", b"", REFUSED), 0),
    ("the largest frame that is read past", bytes(16_000_000), Told(ERROR, b"", b"", REFUSED), 0),
]


@pytest.mark.parametrize(("what", "sent", "answer", "stored"), ANSWERED, ids=lambda v: str(v)[:60])
def test_what_gets_which_answer(
    keys: Keys, what: str, sent: bytes, answer: Told, stored: int
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.send(sent)
            assert await client.answer() == answer
            client.send(message(txid=b"after"))  # one answer each, and the connection is kept
            assert (await client.answer()).txid == b"after"
            assert len(server.log.records()) == stored + 1

    run(main)


def test_all_kinds_at_once_are_answered_in_the_order_of_the_frames(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.writer.write(b"".join(client.frame(sent) for _, sent, _, _ in ANSWERED))
            for what, _, answer, _ in ANSWERED:
                assert await client.answer() == answer, what

    run(main)


def test_a_text_frame_ends_tcp_without_a_close_frame(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.send(b"hello", 0x81)
            await client.ended()

    run(main)


def test_over_16_mb_is_refused_by_its_header_alone(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.writer.write(client.frame(bytes(16_000_001))[:14])
            opcode, payload = await client.receive()
            assert (opcode, payload[:2]) == (8, (1009).to_bytes(2, "big"))
            assert b"16000001 bytes" in payload
            server.clock.advance(5)  # what it answers would be payload still
            server.door.tick()
            await client.ended()

    run(main)


def test_a_20_mb_frame_costs_the_server_no_memory(keys: Keys) -> None:
    def peak_bytes() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            frame = client.frame(bytes(20_000_000))
            chunks = [frame[at : at + 65_536] for at in range(0, len(frame), 65_536)]
            before = peak_bytes()
            for chunk in chunks:
                client.writer.write(chunk)
                await client.writer.drain()
            code, _ = await client.closed()
            assert code == 1009
            assert peak_bytes() - before < 8_000_000
            assert server.door.counts.partial_bytes == 0

    run(main)


def test_over_the_rate_limit_is_an_error_with_the_txid_and_nothing_stored(keys: Keys) -> None:
    async def main() -> None:
        settings = ("telemetry.rate_records_per_s=2", "telemetry.rate_records_burst=3")
        async with serving(keys, *settings) as server:
            first, second = await server.client(), await server.client()
            for number in range(2):
                first.send(message(txid=b"tx-%d" % number))
                assert (await first.answer()).tag == ACK
            second.send(message(txid=b"tx-2"))
            assert (await second.answer()).tag == ACK
            for client in (first, second):  # one bucket for the vehicle, not one each
                client.send(message(txid=b"late"))
                assert await client.answer() == Told(ERROR, b"late", b"", b"rate limit exceeded")
            server.clock.advance(0.5)
            first.send(message(txid=b"later"))
            assert await first.answer() == Told(ACK, b"later", b"V")
            assert server.door.counts.rate_limited == 2
            assert len(server.log.records()) == 4

    run(main)


@pytest.mark.parametrize(
    ("name", "payload", "topic", "encoding"),
    [
        (b"V", Payload(vin=VIN), Topic.TELEMETRY, Encoding.TESLA_TELEMETRY),
        (b"alerts", VehicleAlerts(vin=VIN), Topic.DIAGNOSTICS, Encoding.TESLA_ALERTS),
        (b"errors", VehicleErrors(vin=VIN), Topic.DIAGNOSTICS, Encoding.TESLA_ERRORS),
        (b"metrics", VehicleMetrics(vin=VIN), Topic.DIAGNOSTICS, Encoding.TESLA_METRICS),
        (
            b"connectivity",
            VehicleConnectivity(vin=VIN, status="CONNECTED", connection_id="theirs"),
            Topic.CONNECTIVITY,
            Encoding.TESLA_CONNECTIVITY,
        ),
    ],
)
def test_each_record_type_is_stored_under_its_topic_without_its_vin(
    keys: Keys, name: bytes, payload: Payload, topic: Topic, encoding: Encoding
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            payload.created_at.FromMicroseconds(CREATED_S * 1_000_000 + 250)
            client = await server.client()
            client.send(message(name, payload.SerializeToString()))
            assert await client.answer() == Told(ACK, b"tx-1", name)
            (record,) = server.log.records()
            token = server.registry.vehicles[VIN]
            assert (record.vehicle, record.topic, record.name) == (token, topic, name)
            assert (record.encoding, record.key_id) == (encoding, 7)
            assert record.event_time_us == CREATED_S * 1_000_000 + 250
            assert record.flags == Flags.IDENTITY_HASH | Flags.TIME_GIVEN
            stored = type(payload).FromString(record.payload)
            assert stored.vin == token
            payload.vin = token
            assert stored == payload

    run(main)


def typed_and_string() -> Payload:
    payload = Payload(vin=VIN, is_resend=True)
    payload.created_at.FromSeconds(CREATED_S)
    typed = payload.data.add()
    typed.key, typed.value.double_value = 4, 61.5
    text = payload.data.add()
    text.key, text.value.string_value = 8, "81.25"
    place = payload.data.add(key=21).value.location_value
    place.latitude, place.longitude = 37.4, -122.1
    unknown = payload.data.add()
    unknown.key, unknown.value.boolean_value = 269, True  # a number no table of ours has
    return payload


def test_typed_string_and_unknown_values_are_stored_byte_for_byte(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            wire = typed_and_string().SerializeToString()
            client = await server.client()
            client.send(message(b"V", wire))
            await client.answer()
            (record,) = server.log.records()
            token = server.registry.vehicles[VIN].encode()
            assert record.payload == wire.replace(VIN.encode(), token)
            assert record.flags & Flags.RESEND

    run(main)


def test_a_resent_record_has_the_same_identity_and_another_one_not(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            wire = typed_and_string().SerializeToString()
            for _ in range(2):  # also from another connection
                client = await server.client()
                client.send(message(b"V", wire, created_at_s=CREATED_S))
                await client.answer()
            client.send(message(b"V", wire, txid=b"tx-2", created_at_s=CREATED_S))
            await client.answer()
            first, second, third = (record.identity for record in server.log.records())
            assert first == second != third

    run(main)


@pytest.mark.parametrize(
    ("created_at_s", "event_time_us", "flags"),
    [
        (0, NOW_US, Flags.IDENTITY_HASH),
        (CREATED_S, CREATED_S * 1_000_000, Flags.IDENTITY_HASH | Flags.TIME_GIVEN),
        (NOW_US // 1_000_000 + 331, NOW_US, Flags.IDENTITY_HASH | Flags.TIME_BOUNDED),
    ],
    ids=["none given", "given", "too far ahead"],
)
def test_without_a_time_in_the_payload_the_envelopes_counts(
    keys: Keys, created_at_s: int, event_time_us: int, flags: Flags
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.send(message(created_at_s=created_at_s))
            await client.answer()
            (record,) = server.log.records()
            assert (record.event_time_us, record.flags) == (event_time_us, flags)

    run(main)


def test_a_message_in_fragments_is_one_record_also_around_a_ping(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            whole = message(b"V", typed_and_string().SerializeToString())
            client.send(whole[:50], 0x02)
            client.send(b"alive?", 0x89)
            client.send(whole[50:51], 0x00)
            client.send(b"", 0x00)
            client.send(whole[51:], 0x80)
            assert await client.receive() == (10, b"alive?")
            assert await client.answer() == Told(ACK, b"tx-1", b"V")
            assert len(server.log.records()) == 1

    run(main)


def test_fragments_over_the_limit_together_are_one_refused_message(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            for first, size in ((0x02, 600_000), (0x00, 600_000), (0x80, 600_000)):
                client.send(bytes(size), first)
            client.send(message(txid=b"after"))
            assert await client.answer() == Told(ERROR, b"", b"", REFUSED)
            assert await client.answer() == Told(ACK, b"after", b"V")
            assert server.door.counts.partial_bytes == 0

    run(main)


@pytest.mark.parametrize(
    ("frames", "rule"),
    [
        ([(b"x", 0x80)], "nothing to continue"),
        ([(b"x", 0x02), (b"y", 0x82)], "a new message inside another"),
        ([(b"x", 0xC2)], "RSV"),
        ([(b"x", 0x83)], "unknown"),
        ([(bytes(126), 0x89)], "control frame"),
        ([(b"x", 0x09)], "control frame"),
    ],
)
def test_a_broken_frame_closes_with_1002_and_the_rule(
    keys: Keys, frames: list[tuple[bytes, int]], rule: str
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.send(message(txid=b"before"))
            for payload, first in frames:
                client.send(payload, first)
            assert (await client.answer()).txid == b"before"  # durable, so acked all the same
            opcode, payload = await client.receive()
            assert (opcode, payload[:2]) == (8, (1002).to_bytes(2, "big"))
            assert rule in payload.decode("latin-1")

    run(main)


def test_a_frame_in_any_pieces_is_one_record(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            frame = client.frame(message(b"V", typed_and_string().SerializeToString()))
            for at in range(len(frame)):
                client.writer.write(frame[at : at + 1])
                await asyncio.sleep(0)
            assert await client.answer() == Told(ACK, b"tx-1", b"V")
            big = message(b"V", Payload(vin="x" * 900_000).SerializeToString(), txid=os.urandom(16))
            client.send(big)
            assert (await client.answer()).tag == ACK
            assert len(server.log.records()) == 2

    run(main)
