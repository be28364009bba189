"""When a vehicle was connected, from the log's connectivity records."""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tesla_protocol.telemetry import vehicle_connectivity_pb2 as pb

from motorcade.cli.log_reading import slices
from motorcade.events import NO_VEHICLE, Topic, VehicleToken


class Presence:
    """Connections of one vehicle: id to [from, until]; until 0: open, as far as was told."""

    def __init__(self) -> None:
        self.spans: dict[str, list[int]] = {}

    def read(self, data: Path, vehicle: VehicleToken) -> None:
        """Take what the log holds."""
        for part in slices(data, frozenset({Topic.CONNECTIVITY})):
            for record in part.batch:
                if record.vehicle == NO_VEHICLE:  # a gateway started: it has no connections
                    self._end_all(record.received_time_us)
                elif record.vehicle == vehicle:
                    self._take(record.payload, record.received_time_us)

    def _take(self, payload: bytes, time_us: int) -> None:
        message = pb.VehicleConnectivity()
        try:
            message.ParseFromString(payload)
        except DecodeError:
            return
        if message.status == pb.CONNECTED:
            self.spans[message.connection_id] = [time_us, 0]
        elif message.connection_id in self.spans:
            self.spans[message.connection_id][1] = time_us

    def _end_all(self, time_us: int) -> None:
        for span in self.spans.values():
            span[1] = span[1] or time_us

    def between(self, start_us: int, end_us: int) -> bool:
        """Whether it was connected at some instant between."""
        return any(
            begun <= end_us and (until == 0 or until >= start_us)
            for begun, until in self.spans.values()
        )

    def summary(self) -> dict[str, Any]:
        """Whether it is connected, and since or until when it was."""
        if not self.spans:
            return {"ever": False, "online": False, "since_us": None, "until_us": None}
        begun, until = max(self.spans.values())
        online = any(end == 0 for _, end in self.spans.values())
        return {"ever": True, "online": online, "since_us": begun, "until_us": until or None}
