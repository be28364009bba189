"""A car that may sleep: what waits for it to wake, when to look, how seldom it speaks. No clock.

Homes never sleep: a machine without `asleep` and `waking` is awake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from motorcade.vehicle.stations import Stations
from motorcade.wire.command.messages import Command

HELD_MAX: Final = 64  # commands held at once for one reason; the server keeps the others
WAKING_CHECK_S: Final = 0.25  # between looks whether a car that was called is awake


@dataclass(slots=True)
class Held:
    """An authentic command, and what its end needs."""

    command: Command
    acknowledge: Callable[[], None]
    stations: Stations | None


class Sleeper:
    """What the sleep of one machine asks of its program."""

    def __init__(
        self,
        machine: Any,
        judge: Callable[[Held], None],
        look_after: Callable[[float], object],
    ) -> None:
        """`judge` gets what was held; `look_after` so many seconds `looked` is to be called."""
        self.machine, self._judge, self._look_after = machine, judge, look_after
        self._calling: list[Held] = []
        self._rousing = False
        self._told_asleep = False
        self._spoke_s = 0.0

    @property
    def asleep(self) -> bool:
        """Whether it sleeps now."""
        return bool(getattr(self.machine, "asleep", False))

    @property
    def waking(self) -> bool:
        """It was called and is not awake yet."""
        return bool(getattr(self.machine, "waking", False))

    def wake_for(self, held: Held) -> None:
        """Call the car, and judge this when it is awake."""
        if len(self._calling) < HELD_MAX:
            self._calling.append(held)
        self.machine.call()
        self.rouse()

    def rouse(self) -> None:
        """Look soon whether the car that was called is awake."""
        if not self._rousing:
            self._rousing = True
            self._look_after(WAKING_CHECK_S)

    def looked(self) -> bool:
        """A look is due; the car has lived until now. Whether it is awake."""
        self._rousing = False
        if self.waking:
            self.rouse()
            return False
        self.go_on()
        return True

    def go_on(self) -> None:
        """An awake car judges what it was woken for."""
        if self._calling and not self.asleep:
            calling, self._calling = self._calling, []
            for held in calling:
                self._judge(held)

    def forget(self) -> None:
        """Hold nothing: it will come again."""
        self._calling.clear()

    def silent(self, now_s: float, every_s: float) -> bool:
        """A sleeping car says that it fell asleep, and then seldom anything."""
        return self.asleep and self._told_asleep and now_s - self._spoke_s < every_s

    def spoke(self, now_s: float) -> None:
        """It told a sample."""
        self._spoke_s, self._told_asleep = now_s, self.asleep

    def has_news(self) -> None:
        """Asleep or not, it has something to say."""
        self._told_asleep = False
