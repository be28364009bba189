"""All processes together, as the api process sees them (`api.inside.Inside`)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from motorcade.api.inside import Health
from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.metrics.exposition import exposition
from motorcade.metrics.figures import Figure
from motorcade.metrics.lanes import disk_figures
from motorcade.metrics.report import Report, ask
from motorcade.state.follower import Follower

OTHERS: Final = ("gateway", "reader", "supervisor")  # whom this process asks; itself it knows


class PlatformInside:
    """Asks every process anew, each at most `health.answer_s_max`."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        data: Path,
        own: Callable[[], Report],
        follower: Follower,
    ) -> None:
        self._config, self._clock, self._data = config, clock, data
        self._own, self._follower = own, follower

    async def live(self) -> Health:
        """See `Inside.live`. The loop answers, or nobody would; so look at the other thread."""
        silent_s = self._clock.monotonic_s() - self._follower.polled_s
        why = ""
        if silent_s > self._config.health.stuck_s_max:
            why = f"the follower has not looked into the log for {silent_s:.0f} s"
        return Health(not why, {"state": why})

    async def ready(self) -> Health:
        """See `Inside.ready`."""
        limit_s = self._config.health.answer_s_max
        gateway = await ask(self._data, "gateway", limit_s)
        checks = {check.name: check.reason for check in self._own().checks}
        checks["gateway"] = "" if gateway else f"the gateway gives no answer within {limit_s:g} s"
        if gateway is not None:
            checks |= {check.name: check.reason for check in gateway.checks}
        return Health(not any(checks.values()), checks)

    async def metrics(self) -> bytes:
        """See `Inside.metrics`."""
        limit_s = self._config.health.answer_s_max
        others = await asyncio.gather(*(ask(self._data, name, limit_s) for name in OTHERS))
        figures = list(self._own().figures)
        figures.append(Figure("motorcade_process_up", 1, ["api"]))
        for name, report in zip(OTHERS, others, strict=True):
            figures.append(Figure("motorcade_process_up", int(report is not None), [name]))
            figures += report.figures if report is not None else []
        figures += await asyncio.to_thread(disk_figures, self._data / "log", self._config.log)
        return await asyncio.to_thread(exposition, figures)
