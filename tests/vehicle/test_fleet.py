"""Many cars in one loop: staggered, sampled in turns, one broken disk harms one car."""

import asyncio

from motorcade.vehicle.agent import Agent
from motorcade.vehicle.fleet import Fleet, Member
from tests.vehicle.cloud import Conversation, Time, agent_of, command


class NoLink:
    """Notes when it was started."""

    def __init__(self, time: Time, started_s: list[float]) -> None:
        self._time = time
        self._started_s = started_s

    async def run(self) -> None:
        self._started_s.append(self._time.clock.monotonic_s())
        await asyncio.Event().wait()


def fleet_of(agent: Agent, time: Time, *, sample_s: float) -> Fleet:
    """One car that never connects."""
    return Fleet(
        [Member(agent, NoLink(time, []))],
        sample_s=sample_s,
        connect_spread_s=0.0,
        sleep=time.sleep,
        clock=time.clock,
        failed=lambda _agent, _error: None,
    )


def run_fleet(cars: int, seconds: float, broken: int = -1) -> tuple[Fleet, list[float], list[str]]:
    async def run() -> tuple[Fleet, list[float], list[str]]:
        time = Time()
        started_s: list[float] = []
        failures: list[str] = []
        members = []
        for number in range(cars):
            agent = agent_of(time.clock, seed=number)
            if number == broken:
                agent.sample = fail  # type: ignore[method-assign]
            members.append(Member(agent, NoLink(time, started_s)))

        def failed(agent: Agent, error: OSError) -> None:
            failures.append(f"{agent.vin}: {error}")

        fleet = Fleet(
            members,
            sample_s=1.0,
            connect_spread_s=10.0,
            sleep=time.sleep,
            clock=time.clock,
            failed=failed,
        )
        task = asyncio.ensure_future(fleet.run())
        await time.pass_(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return fleet, started_s, failures

    return asyncio.run(run())


def fail() -> None:
    raise OSError(5, "Input/output error")


def test_cars_connect_one_after_the_other() -> None:
    _, started_s, _ = run_fleet(5, 20.0)
    assert started_s == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_every_car_is_sampled_once_a_period() -> None:
    fleet, _, _ = run_fleet(50, 9.99)
    status = fleet.status()
    assert status.vehicles == 50
    assert status.online == 0
    assert status.samples == status.backlog == 50 * 10


def test_draining_stops_sampling_and_waits_its_time_only() -> None:
    async def run() -> tuple[int, int, float]:
        time = Time()
        agent = agent_of(time.clock)
        fleet = fleet_of(agent, time, sample_s=1.0)
        task = asyncio.ensure_future(fleet.run())
        await time.pass_(3.5)
        draining = asyncio.ensure_future(fleet.drain(2.0))
        before = agent.counters.samples
        while not draining.done():
            await time.pass_(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return before, agent.counters.samples, time.clock.monotonic_s()

    before, after, ended_s = asyncio.run(run())
    assert before == after == 4
    assert 5.4 < ended_s < 5.8


def test_a_broken_disk_harms_one_car() -> None:
    fleet, _, failures = run_fleet(3, 4.99, broken=1)
    assert len(failures) == 5
    assert "Input/output error" in failures[0]
    assert fleet.status().samples == 10


def test_a_command_is_answered_before_the_car_is_sampled() -> None:
    async def run() -> tuple[int, int]:
        time = Time()
        agent = agent_of(time.clock)
        fleet = fleet_of(agent, time, sample_s=1_000.0)
        task = asyncio.ensure_future(fleet.run())
        await time.pass_(0.5)
        talk = Conversation(agent, time.clock)
        talk.connect()
        before = agent.counters.samples
        assert talk.outcome(command(1, now_us=time.clock.now_us())) == ("executed", "")
        at_once = agent.counters.samples - before
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return at_once, agent.counters.samples - before

    assert asyncio.run(run()) == (0, 1)
