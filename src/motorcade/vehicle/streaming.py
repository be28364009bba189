"""What a signed configuration makes a car stream: its fields, at their pace, to the host it names.

Beside the car's own link and apart from it: records of this stream have a buffer of their own, in
memory, and go by a Fleet Telemetry connection of their own, with the car's certificate. A field
goes when it has changed by its least delta and its interval is over, or is due to be said again.
"""

import asyncio
import contextlib
import math
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

import numpy as np
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla

from motorcade.clock import Clock
from motorcade.config import VehicleConfig
from motorcade.events import Encoding, Topic
from motorcade.vehicle.buffer import Buffer
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.link import Backoff, Sleep, dial_tcp
from motorcade.vehicle.link_telemetry import TelemetryLink
from motorcade.vehicle.model import Car
from motorcade.vehicle.outbox import Outbox
from motorcade.vehicle.samples import signals_of, tesla_values
from motorcade.vehicle.vehicle_file import Address, VehicleFile
from motorcade.wire.tesla_command.telemetry_config import FieldSetting, TelemetrySettings

BUFFER_BYTES_MAX: Final = 4 << 20  # unsent, of one car; the oldest go first
EARLY_S: Final = 0.2  # a sample that comes so much before its time is in time
_METRES_PER_DEGREE: Final = 111_320.0

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class FieldPace:
    """Which fields go now. Told the time; decides, sends nothing."""

    def __init__(self, fields: dict[str, FieldSetting]) -> None:
        self._fields = fields
        self._sent: dict[str, tuple[float, tesla.Value]] = {}

    def due(self, values: dict[str, tesla.Value], now_s: float) -> dict[str, tesla.Value]:
        """Of the car's values, by field name, those that go now; they count as sent."""
        chosen = {}
        for name, setting in self._fields.items():
            value = values.get(name)
            if value is not None and self._goes(name, setting, value, now_s):
                chosen[name] = value
                self._sent[name] = (now_s, value)
        return chosen

    def _goes(self, name: str, setting: FieldSetting, value: tesla.Value, now_s: float) -> bool:
        sent = self._sent.get(name)
        if sent is None:
            return True
        since_s = now_s - sent[0] + EARLY_S
        if setting.resend_interval_seconds and since_s >= setting.resend_interval_seconds:
            return True
        return since_s >= setting.interval_seconds and _differs(
            sent[1], value, setting.minimum_delta
        )


def _differs(old: tesla.Value, new: tesla.Value, delta: float) -> bool:
    kind = new.WhichOneof("value")
    if not delta or kind != old.WhichOneof("value"):
        return bool(old != new)
    if kind == "double_value":
        return abs(new.double_value - old.double_value) >= delta
    if kind == "location_value":
        return _metres(old.location_value, new.location_value) >= delta
    return bool(old != new)


def _metres(a: Any, b: Any) -> float:
    """Between two places near each other."""
    north = (b.latitude - a.latitude) * _METRES_PER_DEGREE
    east = (b.longitude - a.longitude) * _METRES_PER_DEGREE * math.cos(math.radians(a.latitude))
    return math.hypot(north, east)


class ConfiguredStream:
    """One car's stream by configuration: none, until it has one."""

    def __init__(
        self,
        vehicle: VehicleFile,
        config: VehicleConfig,
        clock: Clock,
        sleep: Sleep,
        entropy: Callable[[int], bytes],
        seed: int,
    ) -> None:
        self._vehicle, self._config, self._clock, self._sleep = vehicle, config, clock, sleep
        self._entropy, self._seed = entropy, seed
        self._settings: TelemetrySettings | None = None
        self._pace = FieldPace({})
        self._outbox: Outbox | None = None
        self._spawn: Spawn | None = None
        self._task: asyncio.Task[None] | None = None
        self.reason = ""  # why it is not connected, for people

    def configure(self, settings: TelemetrySettings | None) -> None:
        """Stream by these from now on; `None`: stream no more."""
        self._settings = settings
        self._pace = FieldPace(settings.fields if settings is not None else {})
        self._outbox = None
        if settings is not None:
            buffer = Buffer(MemoryDisk(), bytes_max=BUFFER_BYTES_MAX, entropy=self._entropy)
            self._outbox = Outbox(buffer, "")
        self._restart()

    def attach(self, spawn: Spawn) -> None:
        """Run connections by `spawn` from now on."""
        self._spawn = spawn
        self._restart()

    def sample(self, car: Car, now_s: float, time_us: int) -> None:
        """Store what is due now; `now_s` is monotonic, `time_us` the car's clock."""
        settings, outbox = self._settings, self._outbox
        if settings is None or outbox is None or car.asleep:
            return
        if settings.expires_s is not None and time_us >= settings.expires_s * 1_000_000:
            self.configure(None)
            return
        chosen = self._pace.due(tesla_values(car, signals_of(car)), now_s)
        if not chosen:
            return
        payload = tesla.Payload(vin=self._vehicle.vin)
        payload.created_at.FromMicroseconds(time_us)
        for name, value in chosen.items():
            payload.data.add(key=tesla.Field.Value(name), value=value)
        outbox.store(Topic.TELEMETRY, Encoding.TESLA_TELEMETRY, payload.SerializeToString())

    # Inbox: what the link tells.

    def connected(self) -> None:
        self.reason = ""

    def disconnected(self, reason: str) -> None:
        self.reason = reason

    def message(self, payload: bytes, acknowledge: Callable[[], None]) -> None:
        """There are no commands on this road."""

    def _restart(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._settings is not None and self._outbox is not None and self._spawn is not None:
            self._task = self._spawn(self._stay(self._settings, self._outbox))

    async def _stay(self, settings: TelemetrySettings, outbox: Outbox) -> None:
        try:
            context = _tls(self._vehicle, settings.ca)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.reason = f"telemetry to {settings.hostname}: {error}"
            return
        link = TelemetryLink(
            outbox,
            self,
            vin=self._vehicle.vin,
            host=settings.hostname,
            dial=dial_tcp(lambda: Address(settings.hostname, settings.port), context),
            sleep=self._sleep,
            clock=self._clock,
            backoff=Backoff(self._config, np.random.default_rng((self._seed, settings.port))),
            inflight_max=self._config.inflight_max,
        )
        with contextlib.suppress(asyncio.CancelledError):
            await link.run()


def _tls(vehicle: VehicleFile, ca: str) -> ssl.SSLContext:
    """The host proves itself by `ca`, the car by its certificate; TLS 1.2 will do."""
    context = ssl.create_default_context(cadata=ca or None)
    context.load_cert_chain(vehicle.cert_file, vehicle.key_file)
    return context
