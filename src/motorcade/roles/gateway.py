"""The gateway's process: sockets of vehicles and operators, sessions, acks."""

import asyncio
import os
import select
from collections.abc import Collection
from typing import Final

from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt.door import MqttDoor
from motorcade.gateway.mqtt.permissions import GUEST
from motorcade.gateway.mqtt.store import SqliteSessionStore
from motorcade.gateway.presence import Presence
from motorcade.gateway.telemetry.door import TelemetryDoor
from motorcade.identity import tls
from motorcade.log.topics import Lane
from motorcade.metrics.gateway import GatewayReporter
from motorcade.metrics.report import ReportSocket
from motorcade.roles.base import Parts, settle
from motorcade.supervisor import StopEvents
from motorcade.traces.records import CommitTracer
from motorcade.traces.switch import span_out

FAST_RECORDS_MAX: Final = 8_192  # one buffer of the gateway's fast lane: answers of vehicles
FAST_BYTES_MAX: Final = 4 << 20


async def run(parts: Parts, ends: StopEvents) -> None:
    """Sockets of vehicles and operators, sessions, acks; the bulk log and the answers' fast log."""
    settle()
    config, clock, log = parts.config, parts.clock, parts.log
    loop = asyncio.get_running_loop()
    bulk_writer = log.writer("gateway", Lane.BULK)
    fast_writer = log.writer("gateway", Lane.FAST)
    bulk = Intake(
        bulk_writer,
        loop,
        records_max=config.log.batch_records_max,
        bytes_max=config.log.batch_bytes_max,
        spacing_s=config.log.bulk_commit_spacing_ms / 1e3,
        monotonic_s=clock.monotonic_s,
    )
    fast = Intake(
        fast_writer,
        loop,
        records_max=FAST_RECORDS_MAX,
        bytes_max=FAST_BYTES_MAX,
        monotonic_s=clock.monotonic_s,
    )
    presence = Presence(bulk, clock, config, loop.call_later)
    presence.started()
    mqtt = MqttDoor(
        loop=loop,
        config=config,
        clock=clock,
        registry=parts.registry,
        log=log,
        store=SqliteSessionStore(parts.data / "mqtt"),
        bulk=bulk,
        fast=fast,
        presence=presence,
        entropy=os.urandom,
        rest=_rest,
        guest=GUEST if parts.link.options["open_broker"] else None,
    )
    telemetry = TelemetryDoor(
        loop=loop,
        config=config,
        clock=clock,
        registry=parts.registry,
        intake=bulk,
        presence=presence,
        entropy=os.urandom,
    )
    await mqtt.start(
        parts.link.listener("mqtt"),
        parts.link.listener("mqtts"),
        tls.mqtts_context(parts.authority),
        parts.link.listener("mqtt_ws"),
        parts.link.listener("mqtt_wss"),
    )
    client_ca_file = config.telemetry.client_ca_file
    await telemetry.start(
        parts.link.listener("telemetry"), tls.telemetry_context(parts.authority, client_ca_file)
    )
    traces = span_out(config.traces.otlp_url, "gateway")
    if traces is not None and config.traces.sample_every_records:
        every = config.traces.sample_every_records
        bulk.add_door(CommitTracer("gateway", every, clock, traces.end))
    report = GatewayReporter(
        config=config,
        clock=clock,
        mqtt=mqtt,
        telemetry=telemetry,
        intakes={"gateway-bulk": bulk, "gateway-fast": fast},
        lanes={"gateway-bulk": bulk_writer, "gateway-fast": fast_writer},
    )
    told = ReportSocket(parts.data, "gateway", report)
    await told.start()
    parts.link.ready(ends)
    await ends.doors_closed.wait()
    mqtt.close_doors()
    telemetry.close_doors()
    await ends.stopping.wait()
    told.close()
    await asyncio.gather(mqtt.drain(), telemetry.drain())
    await asyncio.gather(bulk.drained(), fast.drained())
    if traces is not None:
        await asyncio.to_thread(traces.close)


def _rest(rest_s: float, urgent: Collection[int]) -> list[int]:
    """Block for so long, or until some of the file descriptors `urgent` are readable: those.

    In whole milliseconds, rounded up; whoever rests counts from when the rest was due.
    """
    poll = select.poll()
    for descriptor in urgent:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(rest_s * 1e3)]
