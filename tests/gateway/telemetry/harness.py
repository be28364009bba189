"""A door on a real socket with real TLS, a log that commits when told to, and a client of our own.

The client knows the protocol page and RFC 6455, and none of our codecs.
"""

import asyncio
import base64
import datetime
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import flatbuffers.table  # type: ignore[import-untyped]
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from flatbuffers import number_types

from motorcade.clock import SimulatedClock
from motorcade.config import Config
from motorcade.events import Record, RecordBatch, make_token
from motorcade.gateway.intake import Intake
from motorcade.gateway.presence import Presence
from motorcade.gateway.telemetry.door import TelemetryDoor
from motorcade.registry.port import Principal, PrincipalKind

NOW_US = 1_790_000_000_000_000
VIN = "5YJ3E1EA7KF000001"
OTHER_VIN = "5YJ3E1EA7KF000002"
UNKNOWN_VIN = "5YJ3E1EA7KF999999"
WAIT_S = 30  # generous: reached only when something is broken
NOT_AFTER = datetime.datetime(2049, 1, 1)


def name_of(common_name: str, unit: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(parts)


class Issuer:
    """A self-made CA, as the protocol page §1.2 describes one that works."""

    def __init__(self, common_name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(common_name)
        self.certificate = self._sign(self.name, self.key.public_key(), ca=True)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, subject: x509.Name, *usages: str, host: str = "") -> bytes:
        """Key and certificate, PEM. `usages` are dotted OIDs beside the ordinary one."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(subject, key.public_key(), usages=usages, host=host)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return private + certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        ca: bool = False,
        usages: Sequence[str] = (),
        host: str = "",
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=datetime.datetime(2020, 1, 1),
            not_valid_after=NOT_AFTER,
        ).add_extension(x509.BasicConstraints(ca, None), critical=True)
        if not ca:
            main = ExtendedKeyUsageOID.SERVER_AUTH if host else ExtendedKeyUsageOID.CLIENT_AUTH
            all_usages = [main, *(x509.ObjectIdentifier(usage) for usage in usages)]
            builder = builder.add_extension(x509.ExtendedKeyUsage(all_usages), critical=False)
        if host:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Keys:
    """The certificates of a test run, as files."""

    folder: Path
    issuers: dict[str, Issuer] = field(default_factory=dict)

    def issuer(self, common_name: str) -> Issuer:
        if common_name not in self.issuers:
            self.issuers[common_name] = Issuer(common_name)
        return self.issuers[common_name]

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = self.folder / "server.pem"
        server.write_bytes(self.issuer("Server CA").issue(name_of("localhost"), host="localhost"))
        context.load_cert_chain(server)
        context.verify_mode = ssl.CERT_REQUIRED
        for issuer in self.issuers.values():
            context.load_verify_locations(cadata=issuer.pem.decode())
        return context

    def client_context(
        self, vin: str, issuer: str = "Tesla Motors Products CA", *usages: str, unit: str = ""
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.issuer("Server CA").pem.decode())
        path = self.folder / "client.pem"
        path.write_bytes(self.issuer(issuer).issue(name_of(vin, unit), *usages))
        context.load_cert_chain(path)
        return context


ISSUERS = (
    "Server CA",
    "Tesla Motors Products CA",
    "Tesla Motors Product Issuing CA",
    "My Fleet CA",
)


def make_keys(folder: Path) -> Keys:
    keys = Keys(folder)
    for common_name in ISSUERS:
        keys.issuer(common_name)
    return keys


class GatedLog:
    """A log's writer that commits when told to; open, it commits at once."""

    def __init__(self) -> None:
        self.open = True
        self.batches: list[RecordBatch] = []
        self.waiting: list[tuple[Future[RecordBatch], RecordBatch]] = []

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        future: Future[RecordBatch] = Future()
        self.waiting.append((future, batch))
        if self.open:
            self.commit()
        return future

    def commit(self) -> None:
        """Make durable what was appended."""
        waiting, self.waiting = self.waiting, []
        for future, batch in waiting:
            self.batches.append(RecordBatch(batch.rows.copy(), batch.buffer.copy()))
            future.set_result(batch)

    def fail(self, error: Exception) -> None:
        """Lose what was appended."""
        waiting, self.waiting = self.waiting, []
        for future, _ in waiting:
            future.set_exception(error)

    def close(self) -> None:
        self.commit()

    def records(self, *, presence: bool = False) -> list[Record]:
        """What is durable; the door's own connectivity records only when asked for."""
        everything = [record for batch in self.batches for record in batch]
        return [r for r in everything if presence or r.flags & 2]  # those with an identity


class FakeRegistry:
    """Knows the vehicles it is told."""

    def __init__(self) -> None:
        self.vehicles = {vin: make_token(vin.encode()) for vin in (VIN, OTHER_VIN)}
        self.change_count = 0

    def principal_of_vin(self, vin: str, serial: str = "") -> Principal | None:
        token = self.vehicles.get(vin)
        return token and Principal(PrincipalKind.VEHICLE, token, token, key_id=7)

    def changes(self) -> int:
        return self.change_count

    def remove(self, vin: str) -> None:
        del self.vehicles[vin]
        self.change_count += 1


@dataclass
class Server:
    """A running door and everything it was given."""

    door: TelemetryDoor
    log: GatedLog
    registry: FakeRegistry
    clock: SimulatedClock
    intake: Intake
    port: int
    keys: Keys
    clients: list["Client"] = field(default_factory=list)

    async def client(self, vin: str = VIN, **given: Any) -> "Client":
        headers = given.pop("headers", ())
        client = await self.connect(self.keys.client_context(vin, **given))
        await client.upgrade(headers=headers)
        return client

    async def connect(self, context: ssl.SSLContext) -> "Client":
        streams = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="localhost", limit=1 << 22
        )
        self.clients.append(Client(*streams))
        return self.clients[-1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop run until something the test waits for has happened."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(keys: Keys, *settings: str) -> AsyncIterator[Server]:
    config = Config().with_overrides(list(settings))
    config = replace(config, log=replace(config.log, batch_records_max=4_096))
    loop = asyncio.get_running_loop()
    log, registry, clock = GatedLog(), FakeRegistry(), SimulatedClock(NOW_US)
    intake = Intake(log, loop, records_max=4_096, bytes_max=8 << 20)
    presence = Presence(intake, clock, config, loop.call_later)
    door = TelemetryDoor(loop, config, clock, registry, intake, presence, os.urandom)  # type: ignore[arg-type]
    port = await door.start(socket.create_server(("127.0.0.1", 0)), keys.server_context())
    server = Server(door, log, registry, clock, intake, port, keys)
    try:
        yield server
    finally:
        log.open = True
        log.commit()
        for client in server.clients:
            client.writer.transport.abort()
        await door.drain()


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine on the loop that the gateway uses."""

    async def bounded() -> None:
        async with asyncio.timeout(120):
            await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


class Client:
    """A WebSocket client written from RFC 6455, over asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def upgrade(self, path: str = "/", headers: Sequence[tuple[str, str]] = ()) -> None:
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, payload: bytes, first: int = 0x82) -> None:
        """Send one frame: binary and final unless `first` says otherwise."""
        self.writer.write(self.frame(payload, first))

    @staticmethod
    def frame(payload: bytes, first: int = 0x82) -> bytes:
        size, mask = len(payload), os.urandom(4)
        if size < 126:
            head = struct.pack(">BB", first, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", first, 0x80 | 127, size)
        keys = (mask * (size // 4 + 1))[:size]
        number = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
        return head + mask + number.to_bytes(size, "big")

    async def receive(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame."""
        async with asyncio.timeout(WAIT_S):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80
            assert size < 128, "a server masks nothing"
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def answer(self) -> "Told":
        opcode, payload = await self.receive()
        assert opcode == 2, (opcode, payload)
        return told(payload)

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close frame that comes next; answers it."""
        opcode, payload = await self.receive()
        assert opcode == 8, (opcode, payload)
        self.send(payload[:2], 0x88)
        await self.ended()
        return struct.unpack(">H", payload[:2])[0], payload[2:].decode()

    async def ended(self) -> None:
        """The server has closed TCP, and nothing else came before."""
        async with asyncio.timeout(WAIT_S):
            with suppress(ConnectionResetError):
                assert await self.reader.read() == b""
        self.writer.close()


@dataclass(frozen=True)
class Told:
    """An answer, read with the flatbuffers library by the slots of the protocol page."""

    tag: int
    txid: bytes
    topic: bytes
    payload: bytes = b""


def told(data: bytes) -> Told:
    table = flatbuffers.table.Table(
        data, flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
    )
    tag = data[table.Pos + table.Offset(8)]
    payload = b""
    if tag == 4:
        message = flatbuffers.table.Table(data, table.Indirect(table.Pos + table.Offset(10)))
        payload = vector(message, 8)
        assert vector(message, 6) == b""
    assert vector(table, 12) == b"", "the message_id is not echoed"
    return Told(tag, vector(table, 4), vector(table, 6), payload)


def vector(table: Any, slot: int) -> bytes:
    offset = table.Offset(slot)
    if not offset:
        return b""
    start = table.Vector(offset)
    return bytes(table.Bytes[start : start + table.VectorLen(offset)])


def message(
    topic: bytes = b"V",
    payload: bytes = b"",
    *,
    txid: bytes = b"tx-1",
    tag: int = 4,
    sender_id: bytes = b"",
    created_at_s: int = 0,
) -> bytes:
    """A car's message, built with the flatbuffers library by the slots of the protocol page."""
    builder = flatbuffers.Builder(0)
    ends = [builder.CreateByteVector(part) for part in (payload, sender_id, txid, topic)]
    builder.StartObject(6)
    builder.PrependUint32Slot(0, created_at_s, 0)
    builder.PrependUOffsetTRelativeSlot(1, ends[1], 0)
    builder.PrependUOffsetTRelativeSlot(2, ends[0], 0)
    stream = builder.EndObject()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, ends[2], 0)
    builder.PrependUOffsetTRelativeSlot(1, ends[3], 0)
    builder.PrependUint8Slot(2, tag, 0)
    builder.PrependUOffsetTRelativeSlot(3, stream, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
