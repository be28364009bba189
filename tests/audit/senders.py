"""Senders with a ledger: what they sent, what was acknowledged. They resend until it is.

Written from the standards alone (MQTT 3.1.1; RFC 6455 by a library), not with our own codecs, so
that a mistake of ours cannot hide on both sides.
"""

import asyncio
import base64
import contextlib
import ssl
import struct
from typing import Any

import websockets

WINDOW = 64  # unacknowledged records per sender
RETRY_S = 0.05


class Sender:
    """Numbers 0, 1, 2, ... go out in order; on a new connection the unacknowledged ones again."""

    def __init__(self, vehicle: dict[str, Any]) -> None:
        self.vehicle = vehicle
        self.sent = 0
        self.acked: set[int] = set()
        self.connections = 0
        self.ack_s_max = 20.0  # without an ack for so long the link is taken for dead
        self._unacked: dict[int, None] = {}
        self._stop = asyncio.Event()
        self._address: dict[str, Any] = {}

    def aim(self, ready: dict[str, Any]) -> None:
        """Connect there from now on."""
        self._address = ready

    def stop_sending(self) -> None:
        """Send no new numbers; `run` returns when the last one is acknowledged."""
        self._stop.set()

    async def run(self) -> None:
        """Connect, send, reconnect, until stopped and everything is acknowledged."""
        while not (self._stop.is_set() and not self._unacked):
            with contextlib.suppress(
                OSError, EOFError, websockets.WebSocketException, TimeoutError
            ):
                await self._session()
            await asyncio.sleep(RETRY_S)

    async def _session(self) -> None:
        raise NotImplementedError

    def _next(self) -> int | None:
        """A fresh number when the window and the stop allow one."""
        if self._stop.is_set() or len(self._unacked) >= WINDOW:
            return None
        number = self.sent
        self.sent += 1
        self._unacked[number] = None
        return number

    def _acknowledged(self, number: int) -> None:
        self.acked.add(number)
        self._unacked.pop(number, None)


def _varint(value: int) -> bytes:
    """MQTT's variable byte integer, which is protobuf's varint too."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class MqttSender(Sender):
    """MQTT 3.1.1, QoS 1, stream and sequence as topic levels."""

    def _publish(self, number: int, packet_id: int, *, duplicate: bool) -> bytes:
        prefix = self.vehicle["mqtt"]["publish_topic_prefix"]
        topic = f"{prefix}/telemetry/audit/{number}".encode()
        payload = b'{"time_us":%d,"signals":{"Soc":%d}}' % (1_700_000_000_000_000 + number, number)
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id) + payload
        return bytes([0x32 | (0x08 if duplicate else 0)]) + _varint(len(body)) + body

    async def _session(self) -> None:
        place = self._address["mqtt"]
        reader, writer = await asyncio.open_connection(place["host"], place["port"])
        try:
            account = self.vehicle["mqtt"]
            fields = (account["client_id"], account["username"], account["password"])
            body = b"\x00\x04MQTT\x04\xc2\x00\x3c"
            body += b"".join(struct.pack(">H", len(f)) + f.encode() for f in fields)
            writer.write(b"\x10" + _varint(len(body)) + body)
            answer = await asyncio.wait_for(reader.readexactly(4), self.ack_s_max)
            if answer[3] != 0:
                raise OSError(f"refused: {answer.hex()}")
            self.connections += 1
            await self._exchange(reader, writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        by_id: dict[int, int] = {}
        packet_id = 0
        resend = list(self._unacked)
        while not (self._stop.is_set() and not self._unacked):
            while True:
                number = resend.pop(0) if resend else self._next()
                if number is None:
                    break
                packet_id = packet_id % 65_535 + 1
                by_id[packet_id] = number
                writer.write(self._publish(number, packet_id, duplicate=False))
            head = await asyncio.wait_for(reader.readexactly(4), self.ack_s_max)
            if head[:2] != b"\x40\x02":
                raise OSError(f"not a PUBACK: {head.hex()}")
            self._acknowledged(by_id.pop(struct.unpack(">H", head[2:])[0]))


def envelope(txid: bytes, topic: bytes, sender: bytes, created_at: int, payload: bytes) -> bytes:
    """A FlatbuffersEnvelope with a Stream, laid out by hand from the protocol page §1.3."""
    out = bytearray()

    def pad() -> None:
        while len(out) % 4:
            out.append(0)

    out += struct.pack("<I", 0)  # root offset, patched below
    vtable = len(out)
    out += struct.pack("<HHHHHHH", 14, 24, 4, 8, 12, 16, 20)  # txid, topic, tag, message, id
    pad()
    root = len(out)
    struct.pack_into("<I", out, 0, root)
    out += struct.pack("<iIIB3xII", root - vtable, 0, 0, 4, 0, 0)
    inner_vtable = len(out)
    out += struct.pack("<HHHHH", 10, 16, 4, 8, 12)  # created_at, sender_id, payload
    pad()
    inner = len(out)
    out += struct.pack("<iIII", inner - inner_vtable, created_at, 0, 0)
    struct.pack_into("<I", out, root + 16, inner - (root + 16))

    def vector(field: int, content: bytes) -> None:
        struct.pack_into("<I", out, field, len(out) - field)
        out.extend(struct.pack("<I", len(content)) + content + b"\0")
        pad()

    vector(root + 4, txid)
    vector(root + 8, topic)
    vector(root + 20, b"")
    vector(inner + 8, sender)
    vector(inner + 12, payload)
    return bytes(out)


def v_payload(vin: str, number: int) -> bytes:
    """A `V` record with one string datum (VehicleName = the number), vin and created_at."""
    text = str(number).encode()
    value = b"\x0a" + _varint(len(text)) + text
    datum = b"\x08\x40" + b"\x12" + _varint(len(value)) + value  # key 64: VehicleName
    seconds = b"\x08" + _varint(1_700_000_000 + number)
    message = b"\x0a" + _varint(len(datum)) + datum
    message += b"\x12" + _varint(len(seconds)) + seconds
    return message + b"\x1a\x11" + vin.encode()


def number_of(record: dict[str, Any]) -> int:
    """The number in an exported `V` record, read from its stored bytes."""
    payload = base64.b64decode(record["payload_base64"])
    start = payload.index(b"\x08\x40\x12") + 5
    return int(payload[start + 1 : start + 1 + payload[start]])


class TelemetrySender(Sender):
    """Fleet Telemetry over mutual TLS; a record's number stands in its txid and its payload."""

    async def _session(self) -> None:
        place = self._address["telemetry"]
        context = ssl.create_default_context(cafile=self.vehicle["ca_file"])
        context.load_cert_chain(self.vehicle["cert_file"], self.vehicle["key_file"])
        uri = f"wss://{place['host']}:{place['port']}/"
        async with websockets.connect(
            uri, ssl=context, compression=None, open_timeout=self.ack_s_max, ping_interval=None
        ) as link:
            self.connections += 1
            resend = list(self._unacked)
            while not (self._stop.is_set() and not self._unacked):
                while True:
                    number = resend.pop(0) if resend else self._next()
                    if number is None:
                        break
                    await link.send(self._frame(number))
                answer = await asyncio.wait_for(link.recv(), self.ack_s_max)
                assert isinstance(answer, bytes)
                if b"rate limit exceeded" in answer or b"incorrect message" in answer:
                    raise OSError(f"refused: {answer!r}")
                start = answer.index(b"audit-") + 6
                self._acknowledged(int(answer[start : start + 8]))

    def _frame(self, number: int) -> bytes:
        vin = self.vehicle["vin"]
        sender = f"vehicle_device.{vin}".encode()
        payload = v_payload(vin, number)
        return envelope(b"audit-%08d" % number, b"V", sender, 1_700_000_000 + number, payload)
