"""A car that nobody uses sleeps: when, what keeps it awake, what it answers, and how it wakes."""

import json
from collections.abc import Callable

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.vehicle import actions, charging
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import ASLEEP_W, Car, Habits
from motorcade.vehicle.sleeper import HELD_MAX, WAKING_CHECK_S
from tests.vehicle.actions.cars import Change, do, plugged_car, put, staying_car
from tests.vehicle.cloud import START_US, Conversation, agent_of, command

SLEEP_S = Habits().sleep_after_s
WAKE_S = Habits().wake_s


def sleeping_car() -> Car:
    car = staying_car()
    car._until_s = 1e9
    car.advance(SLEEP_S)
    assert car.asleep
    return car


def test_a_parked_car_falls_asleep_when_nobody_uses_it() -> None:
    car = staying_car()
    car.advance(SLEEP_S - 1.0)
    assert not car.asleep
    do(car, "honk_horn")
    car.advance(2 * SLEEP_S - 2.0)
    assert not car.asleep
    car.advance(2 * SLEEP_S)
    assert car.asleep


AWAKE: dict[str, Change] = {
    "climate": put("body.climate_on", True),
    "sentry": put("body.security.sentry", True),
    "accessories": put("body.settings.accessory_power", True),
    "dog": lambda car: do(car, "set_climate_keeper_mode", climate_keeper_mode=2),
    "update": lambda car: do(car, "schedule_software_update", offset_sec=0),
}


@pytest.mark.parametrize("what", AWAKE)
def test_what_keeps_a_car_awake(what: str) -> None:
    car = staying_car()
    AWAKE[what](car)
    car.advance(1.5 * SLEEP_S)
    assert not car.asleep


def test_a_charging_car_is_awake_and_sleeps_when_it_is_full() -> None:
    car = plugged_car(Charge.CHARGING, percent=89)
    car.advance(SLEEP_S / 2)
    assert not car.asleep
    car.advance(3 * SLEEP_S)
    assert (car.body.charge, car.asleep) == (Charge.COMPLETE, True)


def test_low_power_mode_sleeps_sooner() -> None:
    car = staying_car()
    do(car, "set_low_power_mode", enable=True)
    car.advance(SLEEP_S / 2 + 1.0)
    assert car.asleep


def test_a_sleeping_car_takes_little_from_its_battery() -> None:
    car = sleeping_car()
    before_j = car.energy_j
    car.advance(car.elapsed_s + 3_600.0)
    assert before_j - car.energy_j == pytest.approx(ASLEEP_W * 3_600.0)


def test_a_call_wakes_it_after_a_while_and_it_sleeps_again() -> None:
    car = sleeping_car()
    assert actions.refusal(car, "honk_horn", {}) == actions.ASLEEP
    do(car, "wake_up")
    start_s = car.elapsed_s
    car.advance(start_s + WAKE_S - 0.5)
    assert (car.asleep, car.waking) == (True, True)
    assert actions.refusal(car, "honk_horn", {}) == actions.ASLEEP
    do(car, "wake_up")  # a second call does not begin anew
    car.advance(start_s + WAKE_S)
    assert (car.asleep, car.waking) == (False, False)
    assert actions.refusal(car, "honk_horn", {}) == actions.ACCEPTED
    car.advance(start_s + WAKE_S + SLEEP_S)
    assert car.asleep


def test_a_schedule_wakes_the_car_that_waits_for_it() -> None:
    car = staying_car()
    car.energy_j = car.battery_j * 0.4
    do(car, "set_scheduled_charging", enable=True, time=60)
    charging.plug_in(car)
    car.advance(3_590.0)
    assert car.asleep
    car.advance(3_601.0)
    assert not car.asleep
    assert car.body.charge is Charge.CHARGING


def test_whoever_drives_off_wakes_it() -> None:
    car = Car(1, habits=Habits(sleep_after_s=5.0))
    slept = drove = 0
    for second in range(1_800):
        car.advance(second)
        slept += car.asleep
        drove += not car.parked
        assert not (car.asleep and car.moving)
    assert slept > 10
    assert drove > 600


def test_by_default_the_cars_of_a_demonstration_never_sleep() -> None:
    for seed in range(1, 11):
        car = Car(seed)
        for second in range(0, 3_600, 5):
            car.advance(second)
            assert not car.asleep


# The program of a sleeping car.


class Talk:
    """An agent whose car sleeps, connected, with a hand on its timer."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(START_US)
        self.agent = agent_of(self.clock, config=VehicleConfig())
        self.talk = Conversation(self.agent, self.clock)
        self.due: list[tuple[float, Callable[[], object]]] = []
        self.agent.later = lambda seconds, do_it: self.due.append((seconds, do_it))
        self.agent.car.body.trunks_open["rear"] = True
        self.pass_(SLEEP_S)
        assert self.agent.car.asleep
        self.talk.connect()

    def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.agent.sample()
        self.talk.heard()

    def wait(self, seconds: float) -> None:
        """Time passes by the timer alone, no sample."""
        for _ in range(round(seconds / WAKING_CHECK_S)):
            self.clock.advance(WAKING_CHECK_S)
            due, self.due = self.due, []
            for _, do_it in due:
                do_it()

    def send(self, number: int, name: str, *, wake: bool = False, expires_s: float = 30.0) -> None:
        now_us = self.clock.now_us()
        self.talk.tell(command(number, name, now_us=now_us, expires_s=expires_s, wake=wake))

    def said(self) -> list[tuple[str, str]]:
        return [(one.state, one.reason) for one in self.talk.answers()]


def test_a_sleeping_car_obeys_wake_up_alone() -> None:
    town = Talk()
    town.send(1, "honk_horn")
    assert town.said() == [("refused", "vehicle_is_asleep")]
    town.send(2, "wake_up")
    assert town.said() == [("executed", "")]
    town.wait(WAKE_S + 0.5)
    town.talk.heard()
    town.send(3, "honk_horn")
    assert town.said() == [("executed", "")]


def test_wake_and_do_is_one_command() -> None:
    town = Talk()
    town.send(1, "honk_horn", wake=True)
    assert (town.said(), town.talk.acknowledged) == ([], 1)  # 1: the time
    town.wait(WAKE_S - 0.5)
    assert town.said() == []
    town.wait(1.0)
    assert (town.said(), town.talk.acknowledged) == ([("executed", "")], 2)
    assert town.agent.counters.executed == 1


def test_without_a_timer_the_next_sample_finds_it_awake() -> None:
    town = Talk()
    town.send(1, "honk_horn", wake=True)
    town.clock.advance(WAKE_S + 0.5)
    town.agent.sample()
    assert town.said() == [("executed", "")]


def test_who_wakes_too_late_does_nothing() -> None:
    town = Talk()
    town.send(1, "honk_horn", wake=True, expires_s=WAKE_S - 1.0)
    town.wait(WAKE_S + 0.5)
    assert town.said() == [("expired", "")]
    assert town.agent.counters.executed == 0


def test_a_lost_connection_forgets_what_will_come_again() -> None:
    town = Talk()
    town.send(1, "honk_horn", wake=True)
    town.agent.disconnected("test")
    town.wait(WAKE_S + 0.5)
    assert town.agent.counters.executed == 0
    town.talk.connect()
    town.send(1, "honk_horn", wake=True)
    assert town.said() == [("executed", "")]
    town.send(1, "honk_horn", wake=True)  # and never twice
    assert town.said() == [("executed", "")]
    assert town.agent.counters.executed == 1


def test_a_wake_that_is_refused_says_why() -> None:
    town = Talk()
    town.send(1, "charge_stop", wake=True)
    town.wait(WAKE_S + 0.5)
    assert town.said() == [("refused", "not_charging")]


def test_no_more_is_held_than_the_limit() -> None:
    town = Talk()
    for number in range(1, HELD_MAX + 3):
        town.send(number, "honk_horn", wake=True)
    town.wait(WAKE_S + 0.5)
    assert len(town.said()) == HELD_MAX


def test_a_sleeping_car_says_so_and_then_seldom_anything() -> None:
    clock = SimulatedClock(START_US)
    agent = agent_of(clock)
    agent.car.body.trunks_open["rear"] = True
    told = []
    for _ in range(round(SLEEP_S) + 600):
        clock.advance(1.0)
        agent.sample()
        while (outgoing := agent.outbox.next()) is not None:
            agent.outbox.done(outgoing)
            told.append(json.loads(outgoing.payload)["signals"].get("asleep"))
    asleep = told[told.index(True) :]
    assert len(told) - len(asleep) == SLEEP_S - 1
    every_s = VehicleConfig().asleep_sample_s
    assert len(asleep) == 1 + 600 // every_s


def test_what_is_done_with_a_sleeping_car_shows_at_once() -> None:
    town = Talk()
    before = town.agent.counters.samples
    town.send(1, "wake_up")
    assert town.agent.counters.samples == before + 1
    assert town.agent.car.asleep


def test_it_says_at_once_that_it_is_awake() -> None:
    town = Talk()
    town.send(1, "wake_up")
    town.talk.heard()
    before = town.agent.counters.samples
    town.wait(WAKE_S + 0.5)
    assert town.agent.counters.samples == before + 1
    assert not town.agent.car.asleep
