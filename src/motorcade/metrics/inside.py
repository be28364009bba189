"""All processes together, as the api process sees them (`api.inside.Inside`)."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from motorcade.api.inside import Health, System
from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.metrics.exposition import exposition
from motorcade.metrics.figures import Figure
from motorcade.metrics.lanes import disk_figures
from motorcade.metrics.report import Report, ask
from motorcade.metrics.system import Look, shown
from motorcade.state.follower import Follower

OTHERS: Final = ("gateway", "reader", "supervisor")  # whom this process asks; itself it knows
LOOKS_KEPT: Final = 30  # in `dashboard.system_window_s`


class PlatformInside:
    """Asks every process anew, each at most `health.answer_s_max`."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        data: Path,
        own: Callable[[], Report],
        follower: Follower,
        certificates: Callable[[], list[tuple[str, int]]] = list,
    ) -> None:
        self._config, self._clock, self._data = config, clock, data
        self._own, self._follower, self._certificates = own, follower, certificates
        self._system: System | None = None
        self._looks: deque[Look] = (
            deque()
        )  # of the last window, apart from each other; then the last
        self._looking = asyncio.Lock()

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
        figures, _ = await self._ask()
        return await asyncio.to_thread(exposition, figures)

    async def system(self) -> System:
        """See `Inside.system`. One look for all who ask meanwhile."""
        async with self._looking:
            told, now_us = self._system, self._clock.now_us()
            if told is None or now_us - told.at_us >= self._config.dashboard.system_s * 1e6:
                told = self._system = await self._look(now_us)
            return told

    async def _look(self, now_us: int) -> System:
        figures, reports = await self._ask()
        now = Look.of(now_us, figures)
        last, window = (
            self._looks[-1] if self._looks else now,
            self._looks[0] if self._looks else now,
        )
        self._keep(now)
        failing = [(check.name, check.reason) for one in reports for check in one.checks]
        told = {report.process for report in reports}
        limit_s = self._config.health.answer_s_max
        failing += [
            (name, f"gives no answer within {limit_s:g} s") for name in OTHERS if name not in told
        ]
        return shown(now, last, window, failing, await asyncio.to_thread(self._certificates))

    def _keep(self, now: Look) -> None:
        """The newest, and before it enough to reach back a window."""
        looks, window_us = self._looks, self._config.dashboard.system_window_s * 1e6
        if len(looks) > 1 and looks[-1].at_us - looks[-2].at_us < window_us / LOOKS_KEPT:
            looks.pop()
        looks.append(now)
        while len(looks) > 2 and now.at_us - looks[1].at_us >= window_us:
            looks.popleft()

    async def _ask(self) -> tuple[list[Figure], list[Report]]:
        """Everybody's figures, and the reports of those who answered."""
        limit_s = self._config.health.answer_s_max
        others = await asyncio.gather(*(ask(self._data, name, limit_s) for name in OTHERS))
        reports = [self._own(), *(report for report in others if report is not None)]
        figures = [figure for report in reports for figure in report.figures]
        figures.append(Figure("motorcade_process_up", 1, ["api"]))
        for name, report in zip(OTHERS, others, strict=True):
            figures.append(Figure("motorcade_process_up", int(report is not None), [name]))
        figures += await asyncio.to_thread(disk_figures, self._data / "log", self._config.log)
        return figures, reports
