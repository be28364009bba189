"""The opening handshake: the standard's example, and each way to get it wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.websocket.errors import HandshakeError
from motorcade.wire.websocket.handshake import accept_upgrade, encode_response, read_request

EXAMPLE = (
    b"GET /chat?a=b HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"X-Network-Interface: wifi\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)  # RFC 6455 §1.3


def answer(data: bytes) -> bytes:
    request = read_request(data, request_bytes_max=8_192)
    assert request is not None
    return accept_upgrade(request)


def test_the_standards_example_gets_the_standards_answer() -> None:
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer(EXAMPLE)


def test_path_headers_and_what_comes_behind_are_told() -> None:
    request = read_request(EXAMPLE + b"\x82\x80", request_bytes_max=8_192)
    assert request is not None
    assert (request.path, request.headers["x-network-interface"]) == ("/chat", "wifi")
    assert request.request_bytes == len(EXAMPLE)


@pytest.mark.parametrize(
    "offered", [b"mqtt", b"mqttv3.1, mqtt", b"other\r\nSec-WebSocket-Protocol: mqtt"]
)
def test_a_subprotocol_that_is_offered_is_chosen(offered: bytes) -> None:
    asks = EXAMPLE[:-2] + b"Sec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
    request = read_request(asks, request_bytes_max=8_192)
    assert request is not None
    answer = accept_upgrade(request, subprotocol="mqtt")
    assert answer.endswith(b"\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
    assert b"Protocol: mqtt" not in accept_upgrade(request)


@pytest.mark.parametrize("offered", [b"", b"Sec-WebSocket-Protocol: mqttv3.1\r\n"])
def test_a_subprotocol_that_is_not_offered_is_asked_for(offered: bytes) -> None:
    request = read_request(EXAMPLE[:-2] + offered + b"\r\n", request_bytes_max=8_192)
    assert request is not None
    with pytest.raises(HandshakeError, match="Sec-WebSocket-Protocol: mqtt"):
        accept_upgrade(request, subprotocol="mqtt")


@pytest.mark.parametrize("received", range(0, len(EXAMPLE), 7))
def test_a_request_cut_anywhere_waits_for_more(received: int) -> None:
    assert read_request(EXAMPLE[:received], request_bytes_max=8_192) is None


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"GET", b"POST", 405),
        (b"HTTP/1.1", b"HTTP/1.0", 400),
        (b"HTTP/1.1", b"", 400),
        (b"Upgrade: WebSocket", b"Upgrade: h2c", 426),
        (b"keep-alive, Upgrade", b"keep-alive", 400),
        (b"Version: 13", b"Version: 8", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ=", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"not base64", 400),
        (b"Host:", b"Host :", 400),
        (b"Host: server.example.com", b"no colon", 400),
    ],
)
def test_a_wrong_request_gets_its_status(old: bytes, new: bytes, status: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        answer(EXAMPLE.replace(old, new))
    assert caught.value.status == status
    assert encode_response(status, str(caught.value)).startswith(b"HTTP/1.1 %d " % status)


def test_a_request_over_the_limit_is_refused_before_it_ends() -> None:
    with pytest.raises(HandshakeError) as caught:
        read_request(b"GET / HTTP/1.1\r\nx: " + bytes(100), request_bytes_max=100)
    assert caught.value.status == 431


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_the_codecs_own(data: bytes) -> None:
    try:
        request = read_request(data + b"\r\n\r\n", request_bytes_max=512)
        if request is not None:
            accept_upgrade(request)
    except HandshakeError:
        return
