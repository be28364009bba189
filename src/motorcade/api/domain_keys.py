"""Fetches an app's public key from its domain, where Tesla's rules have it lie.

A caller chooses the domain, so the request goes to public addresses only, to the address that was
looked at (no second look-up), by verified TLS, without redirects, for a bounded answer, and within
one time limit for all of it: a server that sends a byte a second gets no longer.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from httptools import HttpParserError, HttpResponseParser

PATH: Final = "/.well-known/appspecific/com.tesla.3p.public-key.pem"
PORT: Final = 443
KEY_BYTES_MAX: Final = 16_384
ANSWER_BYTES_MAX: Final = 65_536  # its head, which nobody reads, included
READ_BYTES: Final = 4_096
HTTP_ERRORS: Final = (OSError, HttpParserError, EOFError)
NOBODYS: Final = (
    *("test", "example", "invalid", "localhost", "example.com", "example.net", "example.org"),
    *("local", "home.arpa", "internal"),
)
"""Names that are not given out: RFC 6761 and 2606, RFC 6762, RFC 8375, ICANN's `internal`."""


class KeyFetchError(Exception):
    """The key cannot be had; the text says why, for the app's developer."""


class DomainKeys:
    """Fetches keys on its loop.

    The system's look-up of a name cannot be broken off, so each has a thread of its own, which
    neither the loop nor the end of the process waits for, and there are at most `lookups_max`: one
    that hangs keeps its place until the system gives it up, and who finds no place waits no longer
    than for anything else.
    """

    def __init__(self, *, timeout_s: float, lookups_max: int) -> None:
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(lookups_max)
        self._context: ssl.SSLContext | None = None

    async def fetch(self, domain: str) -> bytes:
        """What lies at `https://DOMAIN` + `PATH`.

        Raises:
            KeyFetchError: no public address, no TLS, no 200, too much, or not in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                address = await self._in_thread(partial(_public_address, domain))
                return await self._get(domain, address)
        except TimeoutError as error:
            text = f"https://{domain}{PATH} was not to be had within {self._timeout_s:g} s"
            raise KeyFetchError(text) from error
        except HTTP_ERRORS as error:
            raise KeyFetchError(f"https://{domain}{PATH}: {error}") from error

    async def _get(self, domain: str, address: str) -> bytes:
        if self._context is None:  # reading the system's certificates takes tens of milliseconds
            self._context = await self._in_thread(ssl.create_default_context)
        reader, writer = await asyncio.open_connection(
            address, PORT, ssl=self._context, server_hostname=domain, limit=READ_BYTES
        )
        try:
            writer.write(
                f"GET {PATH} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n"
                "Accept: application/x-pem-file, text/plain\r\n\r\n".encode()
            )
            answer = Answer(f"https://{domain}{PATH}")
            while not answer.whole:
                answer.feed(await reader.read(READ_BYTES))
            return answer.content
        finally:
            writer.transport.abort()  # a goodbye would be one more thing to wait for

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises; its place is free again when it has ended, not before."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tell(result: Any, error: BaseException | None) -> None:
            self._places.release()
            if done.cancelled():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def run() -> None:
            try:
                told = partial(tell, work(), None)
            except Exception as error:  # whatever it is: who waits gets it
                told = partial(tell, None, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(told)

        threading.Thread(target=run, name="domain-key", daemon=True).start()
        return await done


class Answer:
    """An HTTP answer as it comes in. No IO."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._parser = HttpResponseParser(self)
        self._bytes_left = ANSWER_BYTES_MAX
        self._ends_with_connection = True  # its head tells no length (RFC 9112 §6.3)
        self._status = 0  # until the head is there
        self.content = b""
        self.whole = False

    def feed(self, data: bytes) -> None:
        """The next bytes; none: the peer has ended.

        Raises:
            KeyFetchError: it is no answer with a key.
            HttpParserError, EOFError: it is no whole answer.
        """
        if data:
            self._parser.feed_data(data)
        elif self._status and self._ends_with_connection:
            self.whole = True
        else:
            raise EOFError("the connection ended within the answer")
        if self._status not in (0, 200):
            raise KeyFetchError(f"{self._url} answers {self._status}, not 200")
        self._bytes_left -= len(data)
        if self._bytes_left < 0 or len(self.content) > KEY_BYTES_MAX:
            raise KeyFetchError(f"{self._url} has more than {KEY_BYTES_MAX} bytes")

    # What the parser calls.

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.content += data

    def on_message_complete(self) -> None:
        self.whole = True


def _public_address(domain: str) -> str:
    """Blocks for as long as the system's look-up does."""
    try:
        found = socket.getaddrinfo(domain, PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise KeyFetchError(f"{domain} has no address: {error}") from error
    for *_, address in found:
        if is_public(str(address[0])):
            return str(address[0])
    raise KeyFetchError(
        f"{domain} has no public address: `motorcade app register` vouches for it instead"
    )


def is_nobodys(domain: str) -> bool:
    """Whether nobody on the internet can own this name, so that nobody there can lose it."""
    return any(domain == name or domain.endswith(f".{name}") for name in NOBODYS)


def is_public(address: str) -> bool:
    """Whether this is an address of the internet, not of a host's or network's own."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global and not parsed.is_multicast
