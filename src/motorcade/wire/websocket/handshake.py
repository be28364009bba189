"""The HTTP request that opens a WebSocket, and our answers to it. RFC 6455 §4.2, HTTP/1.1.

`read_request` takes what has come so far and answers `None` until the request is complete; the
limit acts on the bytes held, so no peer can make us hold more. No extensions.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from motorcade.wire.websocket.errors import HandshakeError

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A complete HTTP request head. A body is not read: nothing here takes one."""

    method: str
    path: str  # without the query
    headers: Mapping[str, str]  # names in lower case; of repeated ones joined with ", "
    request_bytes: int  # what to drop from the receive buffer


def read_request(data: bytes, *, request_bytes_max: int) -> Request | None:
    """Read an HTTP request head, `None` while it is not complete.

    Raises:
        HandshakeError: it is longer than the limit, or not HTTP/1.1.
    """
    end = data.find(_END, 0, request_bytes_max)
    if end < 0:
        if len(data) >= request_bytes_max:
            raise HandshakeError(431, f"request head over {request_bytes_max} bytes")
        return None
    try:
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
    except ValueError as error:
        raise HandshakeError(400, "the first line is not that of an HTTP request") from error
    if version != "HTTP/1.1":
        raise HandshakeError(400, "a WebSocket opens with HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HandshakeError(400, "a header line without a name")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(method, target.partition("?")[0], headers, end + len(_END))


def accept_upgrade(request: Request, *, subprotocol: str = "") -> bytes:
    """The answer that turns this connection into a WebSocket, for `subprotocol` if one is given.

    Raises:
        HandshakeError: the request does not ask for a WebSocket as §4.2.1 demands, or does not
            offer the subprotocol.
    """
    headers = request.headers
    if request.method != "GET":
        raise HandshakeError(405, "a WebSocket opens with GET")
    if "websocket" not in _words(headers.get("upgrade", "")):
        raise HandshakeError(426, "this port speaks WebSocket: send `Upgrade: websocket`")
    if "upgrade" not in _words(headers.get("connection", "")):
        raise HandshakeError(400, "send `Connection: Upgrade`")
    if headers.get("sec-websocket-version") != "13":
        raise HandshakeError(426, "send `Sec-WebSocket-Version: 13`")
    key = headers.get("sec-websocket-key", "")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise HandshakeError(400, "`Sec-WebSocket-Key` is not 16 bytes in base64")
    chosen = b""
    if subprotocol:
        offered = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
        if subprotocol not in offered:
            raise HandshakeError(400, f"send `Sec-WebSocket-Protocol: {subprotocol}`")
        chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode()
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + chosen + b"\r\n"
    )


def encode_response(status: int, text: str) -> bytes:
    """A plain answer, after which the connection is closed."""
    body = text.encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    if status == 426:
        head += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    head += f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body


def _words(value: str) -> set[str]:
    return {word.strip().lower() for word in value.split(",")}
