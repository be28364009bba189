"""The door's promises: acks after commits, nobody harmed by another, who may stay, who must go."""

import asyncio
import ssl

import pytest
import websockets
from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity

from motorcade.events import Topic
from motorcade.log.errors import LogWriteError
from tests.gateway.telemetry.harness import (
    OTHER_VIN,
    UNKNOWN_VIN,
    VIN,
    Client,
    Keys,
    Server,
    message,
    run,
    serving,
)

ISSUING_CA = "Tesla Motors Product Issuing CA"


async def txids(client: Client, count: int) -> list[bytes]:
    return [(await client.answer()).txid for _ in range(count)]


def numbered(client: Client, first: int, count: int) -> bytes:
    return b"".join(
        client.frame(message(txid=b"%d" % number)) for number in range(first, first + count)
    )


async def nothing_comes(client: Client) -> None:
    """Nothing has been written to this client: a ping overtakes what is still to come."""
    client.send(b"", 0x89)
    assert await client.receive() == (10, b"")


def test_an_ack_leaves_only_after_the_commit(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            server.log.open = False
            client.send(message(txid=b"1"))
            await server.until(lambda: bool(server.log.waiting))
            client.send(message(txid=b"2"))
            client.send(b"junk", 0x82)  # its answer may not overtake the acks before it
            await server.until(lambda: server.door.counts.refused == 1)
            await nothing_comes(client)
            server.log.commit()
            assert await txids(client, 1) == [b"1"]
            await server.until(lambda: bool(server.log.waiting))
            await nothing_comes(client)
            server.log.commit()
            assert await txids(client, 2) == [b"2", b""]

    run(main)


def test_a_failed_commit_is_never_acked_and_closes_who_waits_for_it(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            waiting, other = await server.client(), await server.client(OTHER_VIN)
            server.log.open = False
            waiting.send(message())
            await server.until(lambda: bool(server.log.waiting))
            server.log.open = True
            server.log.fail(LogWriteError("disk full"))
            await waiting.ended()
            other.send(message(txid=b"still here"))
            assert await txids(other, 1) == [b"still here"]

    run(main)


def test_with_both_buffers_in_use_bytes_wait_and_nothing_is_lost(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys, "telemetry.rate_records_per_s=0") as server:
            server.log.open = False
            clients = [await server.client(), await server.client(OTHER_VIN)]
            for client in clients:
                client.writer.write(numbered(client, 0, 5_000))
            full = 4_096 - 1_024  # what the intake keeps back for others
            await server.until(lambda: bool(server.intake.staging.used[0] == full))
            for _ in range(20):
                await asyncio.sleep(0)
            assert server.intake.staging.used[0] == full
            server.log.open = True
            server.log.commit()
            for client in clients:
                assert await txids(client, 5_000) == [b"%d" % n for n in range(5_000)]
            assert len(server.log.records()) == 10_000

    run(main)


def test_a_vehicle_that_reads_nothing_is_closed_and_harms_nobody(keys: Keys) -> None:
    async def main() -> None:
        settings = ("telemetry.rate_records_per_s=0", "gateway.write_buffer_bytes_max=100000")
        async with serving(keys, *settings) as server:
            stalled, other = await server.client(), await server.client(OTHER_VIN)
            stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
            number = 0
            frames = numbered(stalled, 0, 500)
            while not server.door.counts.slow_readers:
                if not stalled.writer.is_closing():
                    stalled.writer.write(frames)
                other.send(message(txid=b"%d" % number))
                assert await txids(other, 1) == [b"%d" % number]
                number += 1
            await server.until(lambda: server.door.connection_count == 1)
            other.send(message(txid=b"after"))
            assert await txids(other, 1) == [b"after"]

    run(main)


def test_two_connections_of_one_vehicle_get_their_own_answers(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            headers = [("X-TXID", "same"), ("X-Network-Interface", "cellular")]
            clients = [await server.client(headers=headers) for _ in range(2)]
            for number, client in enumerate(clients):
                client.send(message(txid=b"%d" % number))
            assert [await txids(client, 1) for client in clients] == [[b"0"], [b"1"]]
            told = presence(server)
            assert len({message.connection_id for message in told}) == 2
            assert {message.network_interface for message in told} == {"cellular"}
            assert not {"same"} & {message.connection_id for message in told}

    run(main)


def presence(server: Server) -> list[VehicleConnectivity]:
    return [
        VehicleConnectivity.FromString(record.payload)
        for record in server.log.records(presence=True)
        if record.topic is Topic.CONNECTIVITY
    ]


def test_presence_tells_of_both_ends_of_a_connection(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            client.writer.transport.abort()
            await server.until(lambda: len(presence(server)) == 2)
            opened, closed = presence(server)
            assert (opened.status, closed.status) == (1, 2)
            assert opened.connection_id == closed.connection_id
            assert opened.vin == server.registry.vehicles[VIN]

    run(main)


def test_a_vehicle_nobody_registered_is_told_so(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client(UNKNOWN_VIN)
            code, reason = await client.closed()
            assert code == 1008
            assert f"motorcade vehicle add --vin {UNKNOWN_VIN}" in reason
            assert server.log.records(presence=True) == []

    run(main)


@pytest.mark.parametrize(
    ("issuer", "usages"),
    [("My Fleet CA", ()), (ISSUING_CA, ()), (ISSUING_CA, ("1.3.6.1.4.1.49279.2.5.1.1",))],
)
def test_an_issuer_without_a_rule_is_upgraded_and_then_cut_off(
    keys: Keys, issuer: str, usages: tuple[str, ...]
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.connect(keys.client_context(VIN, issuer, *usages))
            await client.upgrade()
            await client.ended()

    run(main)


def test_the_client_type_by_key_usage_decides_whose_sender_id_is_its_own(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            context = keys.client_context(VIN, ISSUING_CA, "1.3.6.1.4.1.49279.2.5.2")
            client = await server.connect(context)
            await client.upgrade()
            for client_type, tag in (("energy_device", 5), ("vehicle_device", 4)):
                client.send(message(b"custom", b"x", sender_id=f"{client_type}.{VIN}".encode()))
                assert (await client.answer()).tag == tag

    run(main)


def test_without_a_client_certificate_there_is_no_connection(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=keys.issuer("Server CA").pem.decode())
            refusal = (ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError)
            with pytest.raises(refusal):  # under TLS 1.3 the client sees it at its first read
                await (await server.connect(context)).upgrade()

    run(main)


def test_a_removed_vehicle_is_dropped_and_others_stay(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            removed, other = await server.client(), await server.client(OTHER_VIN)
            server.registry.remove(VIN)
            server.door.tick()
            assert (await removed.closed())[0] == 1008
            other.send(message(txid=b"1"))
            assert await txids(other, 1) == [b"1"]

    run(main)


def test_a_silent_peer_is_pinged_and_one_that_stays_silent_is_closed(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            server.clock.advance(29)
            server.door.tick()
            await nothing_comes(client)  # which also counts as a sign of life
            server.clock.advance(30)
            server.door.tick()
            server.door.tick()
            assert await client.receive() == (9, b"")
            await nothing_comes(client)  # one ping, not one per tick
            client.send(b"", 0x8A)
            await nothing_comes(client)
            server.clock.advance(89)
            server.door.tick()
            assert await client.receive() == (9, b"")
            server.clock.advance(1)
            server.door.tick()
            await client.ended()

    run(main)


def test_who_never_sends_a_request_is_closed(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.connect(keys.client_context(VIN))
            client.writer.write(b"GET / HTTP/1.1\r\n")
            await server.until(lambda: server.door.connection_count == 1)
            server.clock.advance(10)
            server.door.tick()
            await client.ended()

    run(main)


@pytest.mark.parametrize(
    ("request_head", "answer"),
    [
        (b"GET /status HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"HTTP/1.1 426 Upgrade Required"),
        (b"GET / HTTP/1.1\r\nx: " + bytes(9_000), b"HTTP/1.1 431 "),
        (b"hello\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    ],
)
def test_http_without_an_upgrade_is_answered_as_http(
    keys: Keys, request_head: bytes, answer: bytes
) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.connect(keys.client_context(VIN))
            client.writer.write(request_head)
            assert (await client.reader.read()).startswith(answer)

    run(main)


def test_draining_sends_the_acks_that_are_due_and_says_goodbye(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            server.log.open = False
            client.send(message(txid=b"in flight"))
            await server.until(lambda: bool(server.log.waiting))
            draining = asyncio.create_task(server.door.drain())
            await asyncio.sleep(0)
            server.log.commit()
            assert await txids(client, 1) == [b"in flight"]
            assert (await client.closed())[0] == 1001
            await draining
            assert server.door.connection_count == 0

    run(main)


def test_a_peers_close_is_answered_after_the_acks_that_are_due(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.client()
            server.log.open = False
            client.send(message(txid=b"last"))
            client.send((1000).to_bytes(2, "big"), 0x88)
            await server.until(lambda: bool(server.log.waiting))
            server.log.commit()
            assert await txids(client, 1) == [b"last"]
            assert await client.receive() == (8, (1000).to_bytes(2, "big"))
            await client.ended()

    run(main)


def test_more_connections_than_allowed_wait_outside(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys, "gateway.connections_max=1") as server:
            first = await server.client()
            second = asyncio.create_task(server.client(OTHER_VIN))
            await nothing_comes(first)
            assert server.door.connection_count == 1
            assert not second.done()
            first.writer.transport.abort()
            (await second).send(message(txid=b"in"))
            assert await txids(second.result(), 1) == [b"in"]

    run(main)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_unmodified_websocket_library_is_served(keys: Keys, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            context = keys.client_context(VIN)
            context.maximum_version = version
            address = f"wss://localhost:{server.port}/any/path?at=all"
            async with websockets.connect(address, ssl=context, host="127.0.0.1") as link:
                await link.send(message(txid=b"1"))
                assert b"\x01\0\0\0" + b"1" in await link.recv()  # type: ignore[operator]
                await (await link.ping())

    run(main)


def test_a_vehicles_oldest_connection_makes_way_for_one_too_many(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys, "telemetry.connections_per_vehicle_max=2") as server:
            clients = [await server.client() for _ in range(3)]
            other = await server.client(OTHER_VIN)
            assert (await clients[0].closed())[0] == 1008
            for client in (*clients[1:], other):
                client.send(message(txid=b"in"))
                assert await txids(client, 1) == [b"in"]

    run(main)


def test_a_flood_of_pings_is_answered_once_per_read_and_then_refused(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys, "telemetry.odd_frames_per_read_max=100") as server:
            client = await server.client()
            for count in (100, 101):
                frames = b"".join(client.frame(b"%d" % number, 0x89) for number in range(count))
                client.writer.write(frames)
                opcode, payload = await client.receive()
                if count == 100:
                    assert (opcode, payload) == (10, b"99")
            assert (opcode, payload[:2]) == (8, (1008).to_bytes(2, "big"))

    run(main)


def test_draining_does_not_wait_for_who_never_asked(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys) as server:
            client = await server.connect(keys.client_context(VIN))
            await server.until(lambda: server.door.connection_count == 1)
            await server.door.drain()
            await client.ended()

    run(main)


def test_acks_that_wait_for_their_turn_keep_their_order(keys: Keys) -> None:
    async def main() -> None:
        async with serving(keys, "gateway.acks_per_turn_max=1") as server:
            clients = [await server.client() for _ in range(5)]
            for _ in range(20):
                server.log.open = False
                for client in clients:
                    client.writer.write(numbered(client, 0, 2) + client.frame(b"junk"))
                await server.until(lambda: bool(server.log.waiting))
                server.log.open = True
                server.log.commit()
                for client in clients:
                    client.send(b"junk")
                    assert await txids(client, 4) == [b"0", b"1", b"", b""]

    run(main)
