"""A world's time: cars live by it, tokens age by it."""

import threading
import time
from math import inf

import pytest

from motorcade.sandbox.client import Sandbox, SandboxError, World
from motorcade.sandbox.times import Issued, WorldTime, left_s
from tests.sandbox.app import App

S = 1_000_000
DAY_S = 86_400.0


def test_time_is_sped_up_and_skipped_piece_by_piece() -> None:
    clock = WorldTime(100 * S)
    assert clock.plain
    assert clock.at(50 * S) == 50 * S  # before it began
    clock.pace(110 * S, 10, 0)
    assert (clock.at(110 * S), clock.at(112 * S)) == (110 * S, 130 * S)
    clock.pace(112 * S, None, 3_600)
    assert clock.at(113 * S) == (130 + 3_600 + 10) * S
    clock.pace(113 * S, 1, 0)
    assert clock.at(114 * S) - clock.at(113 * S) == S
    assert not clock.plain


def test_a_token_made_after_the_jump_is_young() -> None:
    clock, issued = WorldTime(0), Issued()
    issued.note("old", 1_400_000)
    clock.pace(1_500_000, None, 28_800)
    issued.note("new", 1_600_000)
    now_us = 1_700_000
    assert left_s(clock, issued.of("old", 1), 28_800, now_us) == 0
    assert left_s(clock, issued.of("new", 1), 28_800, now_us) == pytest.approx(28_799.9)
    clock.pace(now_us, 10, 0)
    assert left_s(clock, issued.of("new", 1), 28_800, now_us) == pytest.approx(2_879.99)
    clock.pace(now_us, 0, 0)
    assert left_s(clock, issued.of("new", 1), 28_800, now_us) == inf


def test_a_car_lives_faster_than_the_machine(world: World, app: App) -> None:
    world.vehicle.set_battery(40)
    world.vehicle.charge()
    before = app.data("charge_state")["battery_level"]
    world.advance(3_600)
    after = app.data("charge_state")["battery_level"]
    assert after >= before + 8  # 11 kW into 75 kWh
    world.speed_up(600)
    time.sleep(1.5)
    world.speed_up(0)
    rested = app.data("charge_state")["battery_level"]
    assert rested > after
    time.sleep(1.2)
    assert app.data("charge_state")["battery_level"] == rested


def test_an_unused_car_falls_asleep_in_its_own_time(world: World, app: App) -> None:
    world.advance(601)
    assert app.state() == "asleep"


def test_access_tokens_age_with_the_world_and_refresh_tokens_bring_new_ones(
    world: World, app: App
) -> None:
    assert app.get("").status_code == 200
    world.advance(8 * 3_600)
    answer = app.get("")
    assert (answer.status_code, answer.json()["error"]) == (401, "token expired (401)")
    fresh = app.refresh().json()["access_token"]
    app.http.headers["Authorization"] = f"Bearer {fresh}"
    assert app.get("").status_code == 200
    world.expire_tokens()
    assert app.get("").status_code == 401


def test_one_worlds_time_is_not_anothers(world: World, app: App) -> None:
    with Sandbox(world.api_url).world() as other:
        other.expire_tokens()
        theirs = App(other)
        assert theirs.get("").status_code == 401
        theirs.close()
    assert app.get("").status_code == 200


def test_time_that_cannot_be(world: World) -> None:
    for speed in (-1, 1e6):
        with pytest.raises(SandboxError, match="speed"):
            world.speed_up(speed)
    with pytest.raises(SandboxError, match="advance_s"):
        world.advance(-5)


def test_a_long_advance_leaves_the_other_worlds_their_turn(sandbox: Sandbox) -> None:
    """A day of two cars' lives takes seconds of the machine; others wait for none of it."""
    with sandbox.world(2) as busy, sandbox.world() as other:
        advancing = threading.Thread(target=busy.advance, args=(DAY_S,))
        begun_s = time.monotonic()
        advancing.start()
        waited_s = []
        while advancing.is_alive():
            asked_s = time.monotonic()
            other.vehicle.set_battery(40 + len(waited_s) % 2)
            waited_s.append(time.monotonic() - asked_s)
        total_s = time.monotonic() - begun_s
        assert len(waited_s) > 10, (total_s, waited_s)
        assert max(waited_s) < total_s / 5


def test_a_world_is_let_go_in_the_midst_of_its_advance(sandbox: Sandbox) -> None:
    world = sandbox.world(2)
    failed: list[SandboxError] = []

    def advance() -> None:
        try:
            world.advance(DAY_S)
        except SandboxError as error:
            failed.append(error)

    advancing = threading.Thread(target=advance)
    advancing.start()
    time.sleep(0.3)
    begun_s = time.monotonic()
    world.close()
    assert time.monotonic() - begun_s < 2
    advancing.join(10)
    assert not advancing.is_alive()
    assert "reset or let go" in str(failed)
