"""What the MQTT door counts: per turn of the loop and per commit on the hot road."""

from dataclasses import dataclass, field
from typing import Final

from motorcade.counts import Tally

DOORS: Final = ("mqtt", "mqtts", "mqtt_ws", "mqtt_wss")


@dataclass(slots=True)
class MqttCounts:
    """Since the start of the process."""

    opened: Tally = field(default_factory=Tally)  # sockets, by door
    records: int = 0
    received_bytes: int = 0  # of packets; what waits for its packet's end counts with it
    acks: int = 0
    sent: int = 0  # messages written to clients, again or not, commands and $SYS among them
    refusals: Tally = field(default_factory=Tally)  # by the reason's name
