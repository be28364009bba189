"""The courier: approvals wait for their car, go once at a time, and end with the car's answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from motorcade.commands.courier import LOOKS_MAX, Courier
from motorcade.commands.errors import RouterBusyError
from motorcade.commands.port import CommandView, Request, Step
from motorcade.commands.states import State
from motorcade.config import Config
from motorcade.events import VehicleToken
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.port import Vehicle
from motorcade.registry.signing.port import ADD_KEY, DONE, REMOVE_KEY, SigningState, Waiting
from motorcade.wire.command.messages import Keys, SigningKey
from tests.registry.test_embedded import open_registry, vin_of

KEY = "04" * 65
CONFIG = Config().with_overrides(["commands.courier_poll_ms=1", "commands.courier_rest_s=0.05"])


@dataclass
class FakeCommands:
    """Takes requests; each ends as `script` says."""

    script: Callable[[Request], tuple[State, str]] = lambda _request: (State.EXECUTED, "")
    asked: list[Request] = field(default_factory=list)
    busy: int = 0

    async def submit(self, request: Request) -> CommandView:
        if self.busy:
            self.busy -= 1
            raise RouterBusyError("not now")
        self.asked.append(request)
        steps = (Step(State.REQUESTED, 0),)
        return CommandView(
            str(len(self.asked)), request.vehicle, request.name, {}, "", "", 0, steps
        )

    async def settle(self, command_id: str, timeout_s: float) -> CommandView:
        await asyncio.sleep(0)
        request = self.asked[int(command_id) - 1]
        state, reason = self.script(request)
        steps = (Step(State.REQUESTED, 0), Step(state, 1, reason))
        return CommandView(command_id, request.vehicle, request.name, {}, "", "", 0, steps)


@dataclass
class FakePresence:
    """Who is there; counts who asks."""

    there: set[VehicleToken] = field(default_factory=set)
    moved: int = 0
    asked: int = 0

    def online(self, token: VehicleToken) -> bool:
        self.asked += 1
        return token in self.there

    def comings(self) -> int:
        return self.moved

    def come(self, *tokens: VehicleToken) -> None:
        self.there.update(tokens)
        self.moved += 1


@dataclass
class World:
    registry: EmbeddedRegistry
    cars: list[Vehicle]
    commands: FakeCommands = field(default_factory=FakeCommands)
    presence: FakePresence = field(default_factory=FakePresence)

    def courier(self) -> Courier:
        return Courier(CONFIG, self.registry, self.registry.signing, self.commands, self.presence)

    def run(self, play: Callable[[Courier], Awaitable[None]]) -> None:
        async def main() -> None:
            courier = self.courier()
            running = asyncio.ensure_future(courier.run())
            try:
                await asyncio.wait_for(play(courier), 20)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(main())

    def result(self, request_id: int) -> str:
        request = self.registry.signing.request(request_id)
        assert request is not None
        return request.result


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.002)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    registry = open_registry(tmp_path / "registry.sqlite")
    cars = [new.vehicle for new in registry.add_vehicles([vin_of(1), vin_of(2)])]
    yield World(registry, cars)
    registry.close()


def told(*keys: str, signed: str = "supported") -> Keys:
    listed = [SigningKey(slot=n, public_key=key, role="OWNER") for n, key in enumerate(keys)]
    return Keys(signed_commands=signed, keys=listed)


def test_an_approval_waits_for_its_car_and_ends_with_its_answer(world: World) -> None:
    car = world.cars[0]
    request = world.registry.signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)

    async def play(courier: Courier) -> None:
        await asyncio.sleep(0.05)
        assert world.commands.asked == []
        world.presence.come(car.token)
        await until(lambda: bool(world.result(request.id)))

    world.run(play)
    assert world.result(request.id) == DONE
    (asked,) = world.commands.asked
    assert (asked.vehicle, asked.name, asked.account) == (car.token, "approve_key", "motorcade")
    assert asked.parameters == {"public_key": KEY, "role": "OWNER", "form_factor": 9}


def test_no_answer_is_tried_again_a_refusal_is_final(world: World) -> None:
    world.presence.come(*(car.token for car in world.cars))
    silent = world.registry.signing.ask(world.cars[0].id, ADD_KEY, KEY, "OWNER", 9)
    full = world.registry.signing.ask(world.cars[1].id, ADD_KEY, KEY, "OWNER", 9)
    world.commands.busy = 1

    def script(request: Request) -> tuple[State, str]:
        if request.vehicle == world.cars[1].token:
            return State.REFUSED, "key_list_full"
        tries = sum(one.vehicle == request.vehicle for one in world.commands.asked)
        return (State.OUTCOME_UNKNOWN, "") if tries < 3 else (State.EXECUTED, "")

    world.commands.script = script

    async def play(courier: Courier) -> None:
        await until(lambda: bool(world.result(silent.id) and world.result(full.id)))

    world.run(play)
    assert world.result(silent.id) == DONE
    assert world.result(full.id) == "key_list_full"
    assert [one.vehicle for one in world.commands.asked].count(world.cars[0].token) == 3


def test_a_car_s_approvals_keep_their_order(world: World) -> None:
    car = world.cars[0]
    world.presence.come(car.token)
    signing = world.registry.signing
    first = signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)
    second = signing.ask(car.id, REMOVE_KEY, KEY, "", 0)

    async def play(courier: Courier) -> None:
        await until(lambda: bool(world.result(second.id)))

    world.run(play)
    assert world.result(first.id) == DONE
    assert [one.name for one in world.commands.asked] == ["approve_key", "remove_key"]


def test_the_list_is_stored_before_who_waits_is_told(world: World) -> None:
    car = world.cars[0]
    world.presence.come(car.token)
    request = world.registry.signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)

    async def play(courier: Courier) -> None:
        def script(_request: Request) -> tuple[State, str]:
            courier.hear(car.token, told(KEY))
            return State.EXECUTED, ""

        world.commands.script = script
        await until(lambda: bool(world.result(request.id)))
        state = world.registry.signing.state_of(car.id)
        assert state is not None
        assert state.has(KEY)
        await until(lambda: not courier.holds)

    world.run(play)


def test_what_was_heard_is_stored_at_the_end_and_only_news_are_written(world: World) -> None:
    car = world.cars[0]

    async def play(courier: Courier) -> None:
        courier.hear(car.token, told(KEY))
        courier.hear(car.token, told(KEY, "04" * 64 + "05"))
        assert courier.holds

    world.run(play)
    state = world.registry.signing.state_of(car.id)
    assert state is not None
    assert len(state.keys) == 2

    written: list[dict[VehicleToken, SigningState]] = []
    signing = world.registry.signing
    tell = signing.tell

    def note(states: dict[VehicleToken, SigningState]) -> None:
        written.append(states)
        tell(states)

    signing.tell = note  # type: ignore[method-assign]

    async def again(courier: Courier) -> None:
        courier.hear(car.token, told(KEY, "04" * 64 + "05"))
        await until(lambda: not courier.holds)
        courier.hear(car.token, told(signed="none"))
        await until(lambda: not courier.holds)

    world.run(again)
    assert written == [{car.token: replace(SigningState("none"))}]


def test_who_is_away_costs_nothing_until_somebody_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand that are away, looked up at each poll, would hold the commands' loop (P6)."""
    signing = world.registry.signing
    many = world.registry.add_vehicles([vin_of(number) for number in range(3, 403)])
    for new in many:
        signing.configure(new.vehicle.id, "a.b.c", "{}", KEY, "app")
    reads = 0
    page = signing.cars_with_configs

    def counted(after: int, limit: int) -> list[Waiting]:
        nonlocal reads
        reads += 1
        return page(after, limit)

    monkeypatch.setattr(signing, "cars_with_configs", counted)

    async def play(_courier: Courier) -> None:
        await until(lambda: world.presence.asked >= len(many))
        await asyncio.sleep(0.1)
        assert world.presence.asked == len(many), "once each: nobody has come"
        assert reads == 2, "one page and the end, once: nothing has changed"
        world.presence.come(many[-1].vehicle.token)
        await until(lambda: bool(world.commands.asked))
        (asked,) = world.commands.asked
        assert asked.vehicle == many[-1].vehicle.token

    world.run(play)


def test_a_poll_asks_for_a_few_cars_only_and_comes_to_all(world: World) -> None:
    signing = world.registry.signing
    many = world.registry.add_vehicles([vin_of(number) for number in range(3, 603)])
    for new in many:
        signing.configure(new.vehicle.id, "a.b.c", "{}", KEY, "app")
    looks: list[int] = []
    courier = world.courier()
    send_out = courier._send_out

    def counted() -> None:
        before = world.presence.asked
        send_out()
        looks.append(world.presence.asked - before)

    courier._send_out = counted  # type: ignore[method-assign]
    world.courier = lambda: courier  # type: ignore[method-assign]

    async def play(_courier: Courier) -> None:
        await until(lambda: world.presence.asked >= len(many))

    world.run(play)
    assert max(looks) == LOOKS_MAX
    assert sum(looks) == len(many)


def test_what_another_process_approves_is_noticed(world: World, tmp_path: Path) -> None:
    """`motorcade vehicle pair` writes the registry's file itself."""
    car = world.cars[0]
    world.presence.come(car.token)

    async def play(_courier: Courier) -> None:
        await asyncio.sleep(0.02)
        other = open_registry(tmp_path / "registry.sqlite")
        request = other.signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)
        await until(lambda: world.result(request.id) == DONE)
        other.close()

    world.run(play)


def test_a_list_longer_than_a_page_is_read_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motorcade.commands.courier.PAGE_ROWS", 1)
    tokens = {car.token for car in world.cars}
    world.presence.come(*tokens)
    for car in world.cars:
        world.registry.signing.configure(car.id, "a.b.c", "{}", KEY, "app")
        world.registry.signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)

    async def play(_courier: Courier) -> None:
        await until(lambda: len(world.commands.asked) == 4)

    world.run(play)
    assert {asked.vehicle for asked in world.commands.asked} == tokens
