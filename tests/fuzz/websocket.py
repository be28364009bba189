"""WebSocket: the upgrade, headers, the judge of frames, and the compiled stream reader."""

import numpy as np

from motorcade.wire.websocket import kernels
from motorcade.wire.websocket.errors import FrameError, HandshakeError
from motorcade.wire.websocket.frames import (
    HEADER_BYTES_MAX,
    Opcode,
    apply_mask,
    encode_close,
    encode_frame,
    read_header,
)
from motorcade.wire.websocket.handshake import accept_upgrade, encode_response, read_request
from motorcade.wire.websocket.messages import MessageJudge, Verdict
from tests.fuzz.target import Target
from tests.wire.websocket.test_kernels import ODD_FRAMES, frames_of, take_all

WIRE = "motorcade.wire.websocket"
MASK = b"\x01\x80\xff\x00"
REQUEST = (
    b"GET /mqtt?a=b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n\r\n"
)


def read_upgrade(data: bytes) -> None:
    """A request for a WebSocket, with and without a subprotocol."""
    try:
        request = read_request(data, request_bytes_max=500)
        if request is None:
            return
        answer = accept_upgrade(request, subprotocol="mqtt" if len(request.path) % 2 else "")
    except HandshakeError as error:
        encode_response(error.status, str(error))
        return
    assert request.request_bytes <= len(data)
    assert answer.find(b"\r\n\r\n") == len(answer) - 4


def read_frames(data: bytes) -> None:
    """A connection: headers by both readers, the order of frames by the judge."""
    judge = MessageJudge(message_bytes_max=100, message_bytes_hard_max=300)
    try:
        while (header := read_header(data)) is not None:
            held = np.frombuffer(bytearray(b"?" + data), np.uint8)
            found = kernels.read_header(held, 1, len(held))
            assert found == (1 + header.header_bytes, header.payload_bytes)
            verdict = judge.admit(header)
            payload = data[header.header_bytes : header.header_bytes + header.payload_bytes]
            if verdict is not Verdict.CONTROL and len(payload) == header.payload_bytes:
                masked = apply_mask(payload, header.mask)
                kernels.unmask(held, 1 + header.header_bytes, len(payload), header.header_bytes - 3)
                at = 1 + header.header_bytes
                assert held[at : at + len(payload)].tobytes() == masked
                assert encode_frame(header.opcode, masked).endswith(masked)
                kernels.write_header(np.zeros(4, np.uint8), 0, len(masked))
            data = data[header.header_bytes + header.payload_bytes :]
    except FrameError as error:
        encode_close(error.code, str(error))


def read_messages(data: bytes) -> None:
    """Messages as one stream, cut anywhere: the kernel against the readable header reader."""
    if len(data) < 3:
        return
    cuts, room, wire = [data[0], data[1]], 1 + data[2], data[3:]
    payload, left, why = take_all(wire, cuts, room)
    assert (payload, left, why) == _stream(wire)


def _stream(wire: bytes) -> tuple[bytes, bytes, int]:
    """What `take_payload` promises, by the readable parts."""
    payload, is_open = b"", False
    while True:
        if len(wire) < 2:
            return payload, wire, kernels.ALL
        wanted = Opcode.CONTINUATION if is_open else Opcode.BINARY
        if wire[0] & 0x7F != wanted or not wire[1] & 0x80:
            return payload, wire, kernels.ODD
        try:
            header = read_header(wire)
        except FrameError:  # a length of 64 bits; the kernel looks when the whole header is there
            whole = len(wire) >= HEADER_BYTES_MAX
            return payload, wire, kernels.ODD if whole else kernels.ALL
        if header is None:
            return payload, wire, kernels.ALL
        is_open = not header.final
        body = wire[header.header_bytes : header.header_bytes + header.payload_bytes]
        payload += apply_mask(body, header.mask)
        if len(body) < header.payload_bytes:
            return payload, b"", kernels.ALL
        wire = wire[header.header_bytes + len(body) :]


def _upgrades() -> list[bytes]:
    changed = [REQUEST.replace(line + b"\r\n", b"") for line in REQUEST.split(b"\r\n") if line]
    words = [
        (b"GET", b"POST"),
        (b"1.1", b"1.0"),
        (b"13", b"8"),
        (b"==", b""),
        (b"Host: x", b"Host"),
    ]
    changed += [REQUEST.replace(old, new) for old, new in words]
    return [REQUEST, REQUEST.replace(b"Host: x", b"Upgrade: h2c"), b"x" * 600, *changed]


def _frames() -> list[bytes]:
    sent = [frames_of([[b"a" * size, b"b"], [b"c"]], MASK) for size in (0, 5, 90, 126, 299)]
    return [*sent, *ODD_FRAMES, *(sent[0] + odd for odd in ODD_FRAMES), sent[1][:3], b""]


def _messages() -> list[bytes]:
    return [
        bytes((cut, 2 * cut, room)) + wire
        for wire in _frames()
        for cut in (0, 7)
        for room in (3, 99)
    ]


def read_connection(data: bytes) -> None:
    """The first byte chooses: frame by frame, or as one stream of messages."""
    if data[:1] < b"\x80":
        read_frames(data[1:])
    else:
        read_messages(data[1:])


def _connections() -> list[bytes]:
    return [b"\x00" + each for each in _frames()] + [b"\x80" + each for each in _messages()]


_MODULES = (f"{WIRE}.frames", f"{WIRE}.messages", f"{WIRE}.kernels")
TARGETS = (
    Target("websocket-upgrade", read_upgrade, _upgrades, (f"{WIRE}.handshake",)),
    Target("websocket-connection", read_connection, _connections, _MODULES),
)
