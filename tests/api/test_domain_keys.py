"""A key from a domain: whom we ask, what we take, and for how long. Against a real TLS server."""

import asyncio
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from motorcade.api import domain_keys
from motorcade.api.domain_keys import KEY_BYTES_MAX, DomainKeys, KeyFetchError, is_public

DOMAIN = "app.example"
LIMIT_S = 0.5
KEY = b"-----BEGIN PUBLIC KEY-----"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*pieces: bytes, pause_s: float = 0.0, for_ever: bytes = b"") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        while for_ever and not writer.is_closing():
            writer.write(for_ever)
            await asyncio.sleep(pause_s)
        writer.close()

    return serve


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "server.pem").write_bytes(pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode().split("-----BEGIN PRIV")[0])


@pytest.fixture
def ask(
    certified: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """What a fetch gives from a server that behaves so."""

    def ask(serve: Serve, domain: str = DOMAIN) -> bytes:
        async def main() -> bytes:
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certified[0])
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setattr(domain_keys, "PORT", port)
            monkeypatch.setattr(domain_keys, "is_public", lambda _address: True)
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            keys = DomainKeys(timeout_s=LIMIT_S, lookups_max=1)
            keys._context = certified[1]
            try:
                return await keys.fetch(domain)
            finally:
                server.close()

        return asyncio.run(main())

    return ask


@pytest.mark.parametrize(
    "serve",
    [
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n" + KEY),
        answering(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 26\r\n\r\n--", KEY[2:], pause_s=0.02),
        answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + KEY, b"\r\n0\r\n\r\n"
        ),
        answering(b"HTTP/1.0 200 OK\r\n\r\n" + KEY),
    ],
)
def test_a_key_is_had(ask: Callable[..., bytes], serve: Serve) -> None:
    assert ask(serve) == KEY


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "answers 404"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\n\r\n"), "answers 302"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + KEY), "ended within"),
        (answering(b"SSH-2.0-OpenSSH\r\n\r\n"), "app.example"),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n", for_ever=b"x" * 1_000), str(KEY_BYTES_MAX)),
        (answering(b"HTTP/1.1 200 OK\r\n", for_ever=b"a: b\r\n" * 100), "bytes"),
    ],
)
def test_what_is_no_key_says_why(ask: Callable[..., bytes], serve: Serve, why: str) -> None:
    with pytest.raises(KeyFetchError, match=why):
        ask(serve)


def test_the_certificate_must_be_the_domains(ask: Callable[..., bytes]) -> None:
    with pytest.raises(KeyFetchError, match="certificate"):
        ask(answering(b"HTTP/1.0 200 OK\r\n\r\n" + KEY), "other.example")


@pytest.mark.parametrize(
    "serve",
    [
        answering(pause_s=10),
        answering(b"", pause_s=60.0),
        answering(b"HTTP/1.1 200 OK\r\n", for_ever=b"a", pause_s=0.02),
        answering(b"HTTP/1.1 200 OK\r\n\r\n", for_ever=b"a", pause_s=0.02),
    ],
)
def test_who_answers_byte_by_byte_gets_no_longer(ask: Callable[..., bytes], serve: Serve) -> None:
    begun_s = time.monotonic()
    with pytest.raises(KeyFetchError, match=r"ended within|not to be had within 0\.5 s"):
        ask(serve)
    assert time.monotonic() - begun_s < 5


def test_a_name_that_hangs_is_given_up_and_keeps_no_loop_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    looked_up: list[str] = []

    def hang(domain: str, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(domain)
        release.wait(20)
        raise OSError("gone")

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def main() -> float:
        keys = DomainKeys(timeout_s=0.2, lookups_max=2)
        begun_s = time.monotonic()
        asked = [keys.fetch(f"{number}.example") for number in range(5)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert all("not to be had within" in str(error) for error in errors)
        assert len(looked_up) == 2, "what hangs keeps its place"
        passed_s = time.monotonic() - begun_s
        release.set()
        with pytest.raises(KeyFetchError, match="has no address: gone"):
            await keys.fetch("later.example")
        return passed_s

    assert asyncio.run(main()) < 5


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1%lo", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1", "ff02::1"),
    ],
)
def test_no_request_goes_to_addresses_of_ones_own(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_public(address)
    found = [(0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(KeyFetchError, match="no public address"):
        asyncio.run(DomainKeys(timeout_s=5, lookups_max=1).fetch("app.example"))


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_a_domain_without_address_says_so() -> None:
    with pytest.raises(KeyFetchError, match="has no address"):
        asyncio.run(DomainKeys(timeout_s=20, lookups_max=1).fetch("no-such-host.invalid"))
