"""Presence as records: what a reader of the log will find."""

from collections.abc import Callable

from tesla_protocol.telemetry.vehicle_connectivity_pb2 import (
    CONNECTED,
    DISCONNECTED,
    VehicleConnectivity,
)

from motorcade.clock import SimulatedClock
from motorcade.config import Config
from motorcade.events import NO_VEHICLE, Encoding, Record, Topic, make_token, partition_of
from motorcade.gateway.presence import Presence
from motorcade.log.errors import LogError, LogFullError

NOW_US = 1_790_000_000_123_456
TOKEN = make_token(bytes(range(16)))


class Taker:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.told: list[Callable[[LogError | None], None]] = []

    def add(self, record: Record, on_durable: Callable[[LogError | None], None]) -> int:
        self.records.append(record)
        self.told.append(on_durable)
        return len(self.records) - 1


def no_timer(seconds: float, call: Callable[[], None]) -> None:
    raise AssertionError("nothing failed, so nothing is retried")


def presence() -> tuple[Presence, list[Record]]:
    taker = Taker()
    return Presence(taker, SimulatedClock(NOW_US), Config(), no_timer), taker.records


def test_a_connection_is_told_with_token_time_and_interface() -> None:
    subject, records = presence()
    subject.connected(TOKEN, "c-1", "cellular")
    (record,) = records
    assert (record.vehicle, record.topic, record.name) == (
        TOKEN,
        Topic.CONNECTIVITY,
        b"connectivity",
    )
    assert record.encoding is Encoding.TESLA_CONNECTIVITY
    assert record.partition == partition_of(TOKEN, Config().log.partitions)
    assert record.event_time_us == record.received_time_us == NOW_US
    message = VehicleConnectivity.FromString(record.payload)
    assert (message.vin, message.connection_id, message.status) == (TOKEN, "c-1", CONNECTED)
    assert message.network_interface == "cellular"
    assert message.created_at.ToMicroseconds() == NOW_US


def test_opening_and_closing_carry_the_same_connection_id() -> None:
    subject, records = presence()
    subject.connected(TOKEN, "c-1", "wifi")
    subject.disconnected(TOKEN, "c-1", "wifi")
    messages = [VehicleConnectivity.FromString(record.payload) for record in records]
    assert [(m.connection_id, m.status) for m in messages] == [("c-1", 1), ("c-1", 2)]


def test_a_start_concerns_no_vehicle_and_so_all_of_this_writer() -> None:
    subject, records = presence()
    subject.started()
    (record,) = records
    assert (record.vehicle, record.name) == (NO_VEHICLE, b"gateway_started")
    assert (record.topic, record.partition) == (Topic.CONNECTIVITY, 0)


def test_what_a_full_disk_refused_is_told_again_in_its_order() -> None:
    taker = Taker()
    timers: list[Callable[[], None]] = []
    subject = Presence(taker, SimulatedClock(NOW_US), Config(), lambda _, call: timers.append(call))
    subject.connected(TOKEN, "c-1", "")
    subject.disconnected(TOKEN, "c-1", "")  # another commit, which succeeds
    taker.told[0](LogFullError("no room"))
    taker.told[1](None)
    subject.connected(TOKEN, "c-2", "")  # waits behind those
    assert len(taker.records) == 2
    assert len(timers) == 1
    timers.pop()()
    told = [VehicleConnectivity.FromString(record.payload) for record in taker.records[2:]]
    assert [(each.connection_id, each.status) for each in told] == [
        ("c-1", CONNECTED),
        ("c-1", DISCONNECTED),
        ("c-2", CONNECTED),
    ]
    for durable in taker.told[2:]:
        durable(None)
    assert timers == []
