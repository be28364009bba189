"""The gateway's report: doors, intakes, lanes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt.door import MqttDoor
from motorcade.gateway.telemetry.door import TelemetryDoor
from motorcade.log.writer import EmbeddedWriter
from motorcade.metrics.figures import Figure, spread
from motorcade.metrics.lanes import lane_checks, lane_figures
from motorcade.metrics.process import process_figures
from motorcade.metrics.report import Report

_PREFIX = "motorcade_gateway_"
ACK_DURATION = f"{_PREFIX}ack_duration_seconds"


@dataclass(frozen=True, slots=True)
class GatewayReporter:
    """Call it for a report."""

    config: Config
    clock: Clock
    mqtt: MqttDoor
    telemetry: TelemetryDoor
    intakes: Mapping[str, Intake]  # by lane
    lanes: Mapping[str, EmbeddedWriter]  # by directory

    def __call__(self) -> Report:
        now_s = self.clock.monotonic_s()
        figures = process_figures("gateway") + self._mqtt() + self._telemetry()
        for lane, intake in self.intakes.items():
            figures += _intake_figures(lane, intake)
        for name, writer in self.lanes.items():
            figures += lane_figures(name, writer, now_s)
        checks = lane_checks(list(self.lanes.items()), now_s, self.config.health)
        return Report("gateway", os.getpid(), figures, checks)

    def _mqtt(self) -> list[Figure]:
        counts = self.mqtt.counts
        open_now = self.mqtt.connections_by_door()
        under_way, failed = self.mqtt.handshakes
        doors = {
            "handshakes": under_way,
            "accept_waits_total": self.mqtt.rate_waits,
            "records_total": counts.records,
            "received_bytes_total": counts.received_bytes,
            "acks_total": counts.acks,
            "messages_sent_total": counts.sent,
        }
        return [
            *(_figure("connections", number, door) for door, number in open_now.items()),
            *(
                _figure("connections_total", counts.opened.counts.get(door, 0), door)
                for door in open_now
            ),
            *(_figure(name, value, "mqtt") for name, value in doors.items()),
            *(
                _figure("refusals_total", number, "mqtt", reason)
                for reason, number in sorted(counts.refusals.counts.items())
            ),
            _figure("refusals_total", failed, "mqtt", "handshake"),
            _figure("sessions", self.mqtt.session_count),
        ]

    def _telemetry(self) -> list[Figure]:
        counts = self.telemetry.counts
        under_way, failed = self.telemetry.handshakes
        door = {
            "connections": self.telemetry.connection_count,
            "connections_total": counts.opened,
            "handshakes": under_way,
            "accept_waits_total": self.telemetry.rate_waits,
            "records_total": counts.records,
            "received_bytes_total": counts.received_bytes,
            "acks_total": counts.acks,
        }
        refusals = {
            "handshake": failed,
            "malformed": counts.refused,
            "rate_limit": counts.rate_limited,
            "too_big": counts.too_big,
            "not_registered": counts.unregistered,
            "slow_reader": counts.slow_readers,
        }
        return [
            *(_figure(name, value, "telemetry") for name, value in door.items()),
            *(
                _figure("refusals_total", number, "telemetry", reason)
                for reason, number in refusals.items()
            ),
        ]


def _intake_figures(lane: str, intake: Intake) -> list[Figure]:
    return [
        _figure("staging_records", int(intake.staging.used[0]), lane),
        _figure("staging_fill_ratio", intake.fill_ratio, lane),
        _figure("paused", int(intake.paused), lane),
        _figure("pauses_total", intake.pauses, lane),
        Figure(ACK_DURATION, spread(intake.ack_s), [lane]),
    ]


def _figure(name: str, value: float, *labels: str) -> Figure:
    return Figure(_PREFIX + name, value, list(labels))
