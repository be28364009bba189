"""Where the caller reached us: what discovery, `iss` and cookies are about."""

import re
from typing import Any, Final

from litestar.connection import ASGIConnection

from motorcade.api.errors import ApiError
from motorcade.config import Config

Connection = ASGIConnection[Any, Any, Any, Any]
ISSUER_PATH: Final = "/oauth2/v3"
_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def is_secure(connection: Connection) -> bool:
    """Whether the connection is TLS."""
    return str(connection.scope["scheme"]) in ("https", "wss")


def base_url(connection: Connection, config: Config) -> str:
    """The public URL, or without one what the caller named in its `Host`. Raises the 400.

    A caller can name any host, but only to itself: answers that say one are never cached.
    """
    if config.identity.public_url:
        return config.identity.public_url.rstrip("/")
    return origin_of(connection)


def origin_of(connection: Connection) -> str:
    """Scheme and host that the caller used. Raises the 400."""
    host = connection.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise ApiError(400, "invalid_request", "the Host header is missing or no host")
    return f"{'https' if is_secure(connection) else 'http'}://{host}"


def issuer(connection: Connection, config: Config) -> str:
    """The claim `iss` of ID tokens; discovery stands below it (OpenID Connect Discovery §4)."""
    return base_url(connection, config) + ISSUER_PATH
