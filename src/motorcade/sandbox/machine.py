"""What a sandbox car is made of: a body that does as told, a wrong clock, other firmware. No IO."""

from collections.abc import Mapping
from typing import Any, Final

from motorcade.clock import Clock
from motorcade.events import Encoding
from motorcade.vehicle import charging, climate
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import BATTERY_J, Car, Habits
from motorcade.vehicle.program import Ended, Moment
from motorcade.vehicle.samples import JsonSampler, Signals
from motorcade.vehicle.signed.program import SignedProgram, Signing
from motorcade.vehicle.signed.receiver import Receiver
from motorcade.vehicle.signed.telemetry import TelemetryKeeper
from motorcade.wire.command.messages import UpMessage

PARKED: Final = "parked"
DRIVING: Final = "driving"
CHARGING: Final = "charging"
ASLEEP: Final = "asleep"
AWAKE: Final = "awake"
DOINGS: Final = (PARKED, DRIVING, CHARGING, ASLEEP)
"""What a car may be told to do. `AWAKE` besides: a sleeping one wakes, another goes on."""

MARK: Final = "asleep"  # the signal that is in each sample
CHARGE_ROOM: Final = 0.2  # of the battery: a car that is told to charge has something to do


class SandboxCar(Car):
    """A car whose time goes as fast as it is told, and that stays until told to drive."""

    def __init__(self, seed: int, habits: Habits, start_unix_s: float, speed: float) -> None:
        super().__init__(seed, habits=habits, start_unix_s=start_unix_s)
        self.speed = speed
        self.staying = True
        self._life_s = 0.0
        self._seen_s: float | None = None  # of the machine's time

    def advance(self, elapsed_s: float) -> None:
        """Let the machine's time come to `elapsed_s`."""
        if self._seen_s is not None:
            self._life_s += max(elapsed_s - self._seen_s, 0.0) * self.speed
        self._seen_s = elapsed_s
        super().advance(self._life_s)

    def skip(self, seconds: float) -> None:
        """Live so long at once."""
        self._life_s += seconds
        super().advance(self._life_s)

    def do(self, doing: str) -> None:
        """Be told what to do; it does it now."""
        self.asleep = False
        self._awake_at_s = float("inf")
        if doing == AWAKE:
            self.use()
            return
        self.staying = doing != DRIVING
        if doing == DRIVING:
            if self.parked:
                self._set_off()
            self.use()
            return
        if not self.parked:
            self._park()
        if doing == CHARGING:
            room_soc = self.body.charge_limit - CHARGE_ROOM
            self.energy_j = min(self.energy_j, max(room_soc, 0.0) * BATTERY_J)
            charging.plug_in(self)
            charging.start(self)
        elif self.body.charge is Charge.CHARGING:
            charging.stop(self.body)
        self.use()
        if doing == ASLEEP:
            self._rest()

    @property
    def doing(self) -> str:
        if self.asleep:
            return ASLEEP
        if not self.parked:
            return DRIVING
        return CHARGING if self.body.charge is Charge.CHARGING else PARKED

    def _rest(self) -> None:
        """Everything that keeps it awake goes off."""
        body = self.body
        body.climate_on = False
        climate.stop(body.climate)
        body.security.sentry = body.settings.accessory_power = False
        self.inside_degc = self.outside_degc  # or the protection against heat would work
        self.asleep = True

    def _staying(self) -> bool:
        return self.staying or super()._staying()


class SkewedClock:
    """The machine's clock, wrong by `skew_s` on the wall."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.skew_s = 0.0

    def now_us(self) -> int:
        return self._clock.now_us() + round(self.skew_s * 1e6)

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()


class MarkedSampler:
    """Says one signal each time, so that whoever waits for a sample can tell it by that."""

    encoding = Encoding.JSON_SIGNALS

    def __init__(self) -> None:
        self.time_us = 0  # of the last sample, by the car's clock
        self.restart()

    def restart(self) -> None:
        """Say everything the next time."""
        self._sampler = JsonSampler(always=(MARK,))

    def sample(self, car: Any, extra: Signals, time_us: int) -> bytes:
        """See `Sampler.sample`."""
        self.time_us = time_us
        return self._sampler.sample(car, extra, time_us)


class SandboxProgram:
    """The car's signed commands, whose firmware and clock can be changed. A `Program`."""

    def __init__(self, receiver: Receiver, telemetry: TelemetryKeeper, clock: SkewedClock) -> None:
        self._receiver, self._telemetry, self._clock = receiver, telemetry, clock
        self._first_s = clock.monotonic_s()
        self.signing = Signing.SUPPORTED

    def install(self, signing: Signing) -> None:
        """Other firmware."""
        self.signing = signing

    def knows(self, name: str) -> bool:
        return self._now.knows(name)

    def refuses(self, name: str) -> str:
        return self._now.refuses(name)

    def run(self, name: str, parameters: Mapping[str, Any], now: Moment) -> Ended:
        """The clock of the protocol's domains is as wrong as the one on the wall."""
        skewed_s = max(now.monotonic_s + self._clock.skew_s, self._first_s)
        return self._now.run(name, parameters, Moment(skewed_s, now.wall_us))

    def report(self) -> UpMessage:
        return self._now.report()

    @property
    def _now(self) -> SignedProgram:
        return SignedProgram(self.signing, self._receiver, self._telemetry)
