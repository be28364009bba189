"""Wrong PINs: how many a car takes, for how long it takes none then, and across restarts."""

from typing import Any

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.vehicle.actions import ACTIONS
from motorcade.vehicle.assembly import LinkKind, World, assemble
from motorcade.vehicle.body import PIN_MODES, Security
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.model import Car
from motorcade.vehicle.pins import PinKeeper
from motorcade.vehicle.vehicle_file import Address
from tests.vehicle.actions.cars import parked_car
from tests.vehicle.cloud import START_US, Conversation, command, counting_entropy, vehicle_file

TRIES, LOCK_S = 3, 60.0
RIGHT, WRONG = "1234", "0000"


class Guarded:
    """A car with every mode on behind the same PIN."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.car = parked_car()
        self.car._until_s = 1e9
        self.pins = PinKeeper(self.disk, self.car, tries_max=TRIES, lock_s=LOCK_S)

    def set_all(self) -> "Guarded":
        for name in ("set_valet_mode", "set_pin_to_drive"):
            assert self.do(name, on=True, password=RIGHT) == ""
        for name in ("speed_limit_activate", "parental_controls_activate"):
            assert self.do(name, pin=RIGHT) == ""
        return self

    def do(self, name: str, **parameters: Any) -> str:
        reason = self.pins.judge(self.car, name, parameters)
        if not reason:
            self.pins.apply(self.car, name, parameters)
        return reason

    def wait(self, seconds: float) -> None:
        self.car.advance(self.car.elapsed_s + seconds)


GIVEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "valet": ("set_valet_mode", {"on": False}, "password"),
    "pin_to_drive": ("set_pin_to_drive", {"on": False}, "password"),
    "speed_limit": ("speed_limit_deactivate", {}, "pin"),
    "parental": ("parental_controls_deactivate", {}, "pin"),
}


def give(town: Guarded, mode: str, pin: str) -> str:
    name, parameters, member = GIVEN[mode]
    return town.do(name, **parameters, **{member: pin})


@pytest.mark.parametrize("mode", PIN_MODES)
def test_after_so_many_wrong_pins_none_is_looked_at_for_a_while(mode: str) -> None:
    town = Guarded().set_all()
    assert [give(town, mode, WRONG) for _ in range(TRIES)] == ["wrong_pin"] * TRIES
    assert give(town, mode, RIGHT) == "pin_locked"
    town.wait(LOCK_S - 1.0)
    assert give(town, mode, WRONG) == give(town, mode, RIGHT) == "pin_locked"
    town.wait(1.0)
    assert give(town, mode, WRONG) == "wrong_pin"
    assert give(town, mode, RIGHT) == ""
    for other in set(PIN_MODES) - {mode}:
        assert give(town, other, RIGHT) == ""  # each mode has its own tries


def test_the_right_pin_forgets_the_wrong_ones() -> None:
    town = Guarded().set_all()
    for _ in range(2 * TRIES):
        assert give(town, "speed_limit", WRONG) == "wrong_pin"
        assert give(town, "speed_limit", RIGHT) == ""
        assert town.do("speed_limit_activate", pin=RIGHT) == ""


def test_every_command_that_looks_at_a_pin_shares_its_mode_s_tries() -> None:
    town = Guarded().set_all()
    for name in ("speed_limit_clear_pin", "speed_limit_activate", "speed_limit_deactivate"):
        assert town.do(name, pin=WRONG) == "wrong_pin"
    assert town.do("speed_limit_clear_pin", pin=RIGHT) == "pin_locked"
    looking = {name for name, action in ACTIONS.items() if action.pin_of}
    assert looking == {
        *("set_valet_mode", "set_pin_to_drive", "speed_limit_activate", "speed_limit_deactivate"),
        *("speed_limit_clear_pin", "parental_controls_activate", "parental_controls_deactivate"),
    }


def test_what_is_no_pin_is_no_try_and_an_owner_may_forget_a_locked_one() -> None:
    town = Guarded().set_all()
    for _ in range(2 * TRIES):
        assert give(town, "speed_limit", "12") == "invalid_parameters"
    for _ in range(TRIES):
        give(town, "speed_limit", WRONG)
    assert town.do("speed_limit_clear_pin_admin") == ""
    assert town.do("speed_limit_activate", pin="4321") == ""
    assert give(town, "speed_limit", "4321") == ""


@pytest.mark.parametrize("tries", range(TRIES + 1))
def test_a_restart_gives_no_new_tries(tries: int) -> None:
    town = Guarded().set_all()
    for _ in range(tries):
        give(town, "valet", WRONG)
    again = Guarded(town.disk)
    assert again.car.body.security.valet
    left = [give(again, "valet", WRONG) for _ in range(TRIES)]
    assert left.count("wrong_pin") == (TRIES - tries if tries < TRIES else 0)
    assert give(again, "valet", RIGHT) == "pin_locked"


def test_modes_and_limits_last_and_what_is_of_the_moment_does_not() -> None:
    town = Guarded()
    town.do("parental_controls_enable_setting", setting=3, enable=True)
    town.do("speed_limit_set_limit", limit_mph=55)
    town.set_all()
    town.do("set_sentry_mode", on=True)
    kept = Guarded(town.disk).car.body.security
    assert (kept.parental, kept.parental_settings) == (True, {"curfew"})
    assert kept.speed_limit_mps == town.car.body.security.speed_limit_mps
    assert not kept.sentry


def test_a_clock_that_was_set_back_locks_no_longer_than_the_limit() -> None:
    town = Guarded().set_all()
    town.wait(10_000.0)
    for _ in range(TRIES):
        give(town, "valet", WRONG)
    again = Guarded(town.disk)  # its clock is 10,000 s behind
    again.wait(LOCK_S)
    assert give(again, "valet", RIGHT) == ""


def test_a_damaged_file_is_told() -> None:
    town = Guarded().set_all()
    town.disk.files["security"][20] ^= 1
    again = Guarded(town.disk)
    assert "security (in memory) is damaged" in again.pins.damage
    assert again.car.body.security == Security()


class FullDisk(MemoryDisk):
    def replace(self, name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")


def test_a_try_that_cannot_be_written_is_not_answered_and_counts() -> None:
    town = Guarded()
    town.car.body.security.valet, town.car.body.security.valet_pin = True, RIGHT
    town.pins._disk = FullDisk()
    for _ in range(TRIES):
        with pytest.raises(OSError, match="No space"):
            give(town, "valet", WRONG)
    with pytest.raises(OSError, match="No space"):  # locked, and that is not on disk either
        give(town, "valet", RIGHT)
    town.pins._disk = disk = MemoryDisk()
    assert give(town, "valet", RIGHT) == "pin_locked"
    assert disk.read("security")


def test_an_assembled_car_counts_plain_commands_and_remembers() -> None:
    disk, clock = MemoryDisk(), SimulatedClock(START_US)

    def drive() -> Conversation:
        world = World(
            LinkKind.MQTT,
            tls=False,
            find=lambda _name: Address("127.0.0.1", 1),
            clock=clock,
            config=VehicleConfig(pin_tries_max=TRIES, pin_lock_s=LOCK_S),
            entropy=counting_entropy(),
        )
        member = assemble(
            vehicle_file(), world, seed=1, buffer_disk=MemoryDisk(), journal_disk=disk
        )
        talk = Conversation(member.agent, clock)
        talk.connect()
        return talk

    def ask(talk: Conversation, number: int, name: str, pin: str) -> str:
        talk.tell(command(number, name, now_us=clock.now_us(), parameters={"pin": pin}))
        return "".join(one.reason for one in talk.answers())

    talk = drive()
    assert ask(talk, 1, "speed_limit_activate", RIGHT) == ""
    wrong = [ask(talk, number, "speed_limit_deactivate", WRONG) for number in (2, 3)]
    again = drive()
    wrong.append(ask(again, 4, "speed_limit_deactivate", WRONG))
    assert wrong == ["wrong_pin"] * TRIES
    assert ask(again, 5, "speed_limit_deactivate", RIGHT) == "pin_locked"
    clock.advance(LOCK_S)
    assert ask(again, 6, "speed_limit_deactivate", RIGHT) == ""


def test_a_new_car_writes_no_file() -> None:
    town = Guarded()
    assert town.do("honk_horn") == ""
    assert town.disk.files == {}
    assert Car(1).body.security == Security()
