"""Who is online: the connections that gateways have announced and not yet ended.

A vehicle may hold several at once, and a take-over's old connection ends after the new one began,
so each is known by its id. A gateway that starts has no connections: those of its writer are over.
"""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError
from tesla_protocol.telemetry import vehicle_connectivity_pb2

CONNECTIONS_MAX: Final = 16  # per vehicle; the oldest is forgotten
GATEWAY_STARTED: Final = b"gateway_started"

_CONNECTED: Final = vehicle_connectivity_pb2.CONNECTED
_DISCONNECTED: Final = vehicle_connectivity_pb2.DISCONNECTED


class PresenceTable:
    """Open connections by slot: connection id to the writer that announced it."""

    def __init__(self) -> None:
        self._connections: dict[int, dict[str, str]] = {}

    def is_online(self, slot: int) -> bool:
        return slot in self._connections

    def apply(self, slot: int, payload: bytes, writer: str) -> bool:
        """Take a `VehicleConnectivity` record; whether the vehicle is online afterwards.

        What is no such record changes nothing: its sender harms nobody with it.
        """
        message = vehicle_connectivity_pb2.VehicleConnectivity()
        try:
            message.ParseFromString(payload)
        except DecodeError:
            return self.is_online(slot)
        if message.status == _CONNECTED:
            open_ones = self._connections.setdefault(slot, {})
            open_ones[message.connection_id] = writer
            if len(open_ones) > CONNECTIONS_MAX:
                del open_ones[next(iter(open_ones))]
        elif message.status == _DISCONNECTED:
            open_ones = self._connections.get(slot, {})
            open_ones.pop(message.connection_id, None)
            if not open_ones:
                self._connections.pop(slot, None)
        return self.is_online(slot)

    def writer_started(self, writer: str) -> list[int]:
        """End the connections of `writer`; the slots that went offline by it, ascending."""
        gone = []
        for slot, open_ones in sorted(self._connections.items()):
            for connection in [c for c, owner in open_ones.items() if owner == writer]:
                del open_ones[connection]
            if not open_ones:
                del self._connections[slot]
                gone.append(slot)
        return gone

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """(slot, connection id, writer), by slot, oldest connection first."""
        for slot, open_ones in sorted(self._connections.items()):
            for connection, writer in open_ones.items():
                yield slot, connection, writer

    def restore(self, rows: list[tuple[int, str, str]]) -> None:
        self._connections = {}
        for slot, connection, writer in rows:
            self._connections.setdefault(slot, {})[connection] = writer
