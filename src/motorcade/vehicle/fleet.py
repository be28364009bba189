"""Many cars in one process and one loop: each with its agent and link, sampled in turns.

Connects are staggered and samples spread over the sampling period, so that a thousand cars load the
server evenly and nobody needs a thousand timers.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from motorcade.clock import Clock
from motorcade.vehicle.agent import Agent
from motorcade.vehicle.link import Sleep
from motorcade.vehicle.streaming import ConfiguredStream

TURNS: Final = 20  # slices of a sampling period
DRAIN_CHECK_S: Final = 0.02


class Link(Protocol):
    """What a fleet needs of `vehicle.link.Link`."""

    async def run(self) -> None:
        """Keep connected until cancelled."""


@dataclass(frozen=True, slots=True)
class Member:
    """One car of a fleet."""

    agent: Agent
    link: Link
    stream: ConfiguredStream | None = None  # what a signed configuration makes it stream besides


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """A fleet's sums, for people."""

    vehicles: int
    online: int
    samples: int
    backlog: int  # records not acknowledged
    executed: int


class Fleet:
    """Runs its members until cancelled."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        sample_s: float,
        connect_spread_s: float,
        sleep: Sleep,
        clock: Clock,
        failed: Callable[[Agent, OSError], None],
    ) -> None:
        """`failed` hears of a car whose disk failed; that car goes on with the next sample."""
        self._members = members
        self._sample_s = sample_s
        self._connect_spread_s = connect_spread_s
        self._sleep = sleep
        self._clock = clock
        self._failed = failed
        self._sampling = True

    async def run(self) -> None:
        """Connect one after the other, sample all in turns."""
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon
        for member in self._members:
            member.agent.changed = partial(call_soon, self._sample, member.agent)
            member.agent.later = partial(self._later, loop, member.agent)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sample_for_ever())
            pause_s = self._connect_spread_s / max(len(self._members), 1)
            for member in self._members:
                tasks.create_task(member.link.run())
                if member.stream is not None:
                    member.stream.attach(tasks.create_task)
                await self._sleep(pause_s)

    async def drain(self, seconds: float) -> None:
        """Sample no more, and wait up to `seconds` until the cloud has everything. `run` goes on
        with the links."""
        self._sampling = False
        due_s = self._clock.monotonic_s() + seconds
        while self.status().backlog and self._clock.monotonic_s() < due_s:
            await self._sleep(DRAIN_CHECK_S)

    def status(self) -> FleetStatus:
        """The sums, now."""
        agents = [member.agent for member in self._members]
        return FleetStatus(
            len(agents),
            sum(agent.online for agent in agents),
            sum(agent.counters.samples for agent in agents),
            sum(agent.buffer.backlog_records for agent in agents),
            sum(agent.counters.executed for agent in agents),
        )

    async def _sample_for_ever(self) -> None:
        turns = min(TURNS, max(len(self._members), 1))
        due_s = self._clock.monotonic_s()
        while self._sampling:
            for turn in range(turns):
                for member in self._members[turn::turns] if self._sampling else ():
                    self._sample(member.agent)
                # From due time to due time, so that what sampling costs does not add up; a machine
                # that is too slow skips instead of running after the clock for ever.
                due_s = max(due_s + self._sample_s / turns, self._clock.monotonic_s())
                await self._sleep(due_s - self._clock.monotonic_s())

    def _later(
        self,
        loop: asyncio.AbstractEventLoop,
        agent: Agent,
        seconds: float,
        do: Callable[[], object],
    ) -> None:
        loop.call_later(seconds, self._try, agent, do)

    def _sample(self, agent: Agent) -> None:
        self._try(agent, agent.sample)

    def _try(self, agent: Agent, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError as error:
            self._failed(agent, error)
