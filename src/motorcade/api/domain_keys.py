"""Fetches an app's public key from its domain, where Tesla's rules have it lie.

A caller chooses the domain, so the request goes to public addresses only, to the address that was
looked at (no second look-up), by verified TLS, without redirects, and for a bounded answer.
"""

import http.client
import ipaddress
import socket
import ssl
from typing import Final

PATH: Final = "/.well-known/appspecific/com.tesla.3p.public-key.pem"
PORT: Final = 443
KEY_BYTES_MAX: Final = 16_384
NOBODYS: Final = (
    *("test", "example", "invalid", "localhost", "example.com", "example.net", "example.org"),
    *("local", "home.arpa", "internal"),
)
"""Names that are not given out: RFC 6761 and 2606, RFC 6762, RFC 8375, ICANN's `internal`."""


class KeyFetchError(Exception):
    """The key cannot be had; the text says why, for the app's developer."""


def fetch_key(domain: str, *, timeout_s: float) -> bytes:
    """What lies at `https://DOMAIN` + `PATH`; blocks, call it from a thread.

    Raises:
        KeyFetchError: no public address, no TLS, no 200, or too much.
    """
    address = _public_address(domain)
    try:
        return _get(domain, address, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        raise KeyFetchError(f"https://{domain}{PATH}: {error}") from error


def _public_address(domain: str) -> str:
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


def _get(domain: str, address: str, timeout_s: float) -> bytes:
    plain = socket.create_connection((address, PORT), timeout=timeout_s)
    try:
        secured = ssl.create_default_context().wrap_socket(plain, server_hostname=domain)
    except BaseException:
        plain.close()
        raise
    connection = http.client.HTTPSConnection(domain, PORT, timeout=timeout_s)
    connection.sock = secured
    try:
        connection.request("GET", PATH, headers={"Accept": "application/x-pem-file, text/plain"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise KeyFetchError(f"https://{domain}{PATH} answers {answer.status}, not 200")
        content = answer.read(KEY_BYTES_MAX + 1)
    finally:
        connection.close()
    if len(content) > KEY_BYTES_MAX:
        raise KeyFetchError(f"https://{domain}{PATH} has more than {KEY_BYTES_MAX} bytes")
    return content
