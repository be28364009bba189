"""A small blocking WebSocket client for commands that listen: text messages in, nothing out."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final

from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from motorcade.cli.api_client import error_text, json_object
from motorcade.cli.render import CommandError

CONNECT_S: Final = 10.0
READ_BYTES: Final = 1 << 16
MESSAGE_CHARACTERS_MAX: Final = 64 << 20  # a snapshot of every signal of a vehicle is far smaller
_ENDED: Final = "the server ended the connection: it stopped or restarts; watch again"


def text_messages(host: str, port: int, target: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield text messages until the server ends the connection.

    Raises:
        CommandError: no connection, refused, or closed for a reason; the text says which.
    """
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_S)
    except OSError as error:
        raise CommandError(f"no connection to {host}:{port}: {error}") from error
    with closing(connection):
        yield from _Session(connection).messages(f"{host}:{port}", target, headers)


class _Session:
    """One connection, from its handshake to its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._parts: list[str] = []
        self._characters = 0

    def messages(self, host: str, target: str, headers: Mapping[str, str]) -> Iterator[str]:
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._send(Request(host=host, target=target, extra_headers=extra))
        refused = b""
        while True:
            received = self._receive(host)
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    self._socket.settimeout(None)  # a parked car may say nothing for hours
                elif isinstance(event, RejectConnection) and not event.has_body:
                    raise CommandError(f"{target} was refused: HTTP status {event.status_code}")
                elif isinstance(event, RejectData):
                    refused += event.data
                    if event.body_finished:
                        raise CommandError(f"{target} was refused: {_reason(refused)}")
                elif isinstance(event, Ping):
                    self._send(event.response())
                elif isinstance(event, TextMessage):
                    yield from self._joined(event)
                elif isinstance(event, CloseConnection):
                    _closed(event)
                    return
            if not received:
                raise CommandError(_ENDED)

    def _receive(self, host: str) -> bytes:
        """Feed the protocol what came; empty at the connection's end."""
        try:
            received = self._socket.recv(READ_BYTES)
            self._protocol.receive_data(received or None)
        except (OSError, RemoteProtocolError) as error:
            raise CommandError(
                f"{host} does not speak WebSocket as it should: {error or 'no answer'}; is it the "
                "API of this server?"
            ) from error
        return received

    def _joined(self, event: TextMessage) -> Iterator[str]:
        self._characters += len(event.data)
        if self._characters > MESSAGE_CHARACTERS_MAX:
            raise CommandError(f"a message beyond {MESSAGE_CHARACTERS_MAX} characters")
        self._parts.append(event.data)
        if event.message_finished:
            yield "".join(self._parts)
            self._parts, self._characters = [], 0

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._protocol.send(event))


def _reason(content: bytes) -> str:
    """The API's error in words, or whatever stands there instead."""
    return error_text(json_object(content)) or content.decode("utf-8", "replace")[:500]


def _closed(event: CloseConnection) -> None:
    if event.code == 1006:  # RFC 6455 §7.1.5: it ended without a close frame
        raise CommandError(_ENDED)
    if event.code not in (1000, 1001):
        raise CommandError(f"the server closed the stream: {event.code} {event.reason or ''}")
