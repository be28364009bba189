"""The decision about a command, row by row, and that its order is the one that protects."""

import pytest

from motorcade.vehicle.commands import Decision, Execute, Refuse, Repeat, Wait, decide
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.journal import Journal
from motorcade.vehicle.model import Car
from motorcade.vehicle.server_time import ServerNow
from motorcade.wire.command.messages import Command
from tests.vehicle.cloud import KEY_ID, START_US, TOKEN


def order(
    command_id: str = "new", counter: int = 10, name: str = "honk_horn", expires_us: int = START_US
) -> Command:
    return Command(
        id=command_id,
        vehicle=TOKEN,
        name=name,
        parameters={},
        counter=counter,
        issued_time_us=START_US - 30_000_000,
        expires_time_us=expires_us,
        key_id=KEY_ID,
    )


def journal() -> Journal:
    made = Journal(MemoryDisk(), commands_max=100, responses_bytes_max=1_000)
    made.write("done", "started", reason="", time_us=1, counter=5)
    made.write("done", "executed", reason="", time_us=1, counter=5)
    made.write("cut short", "started", reason="", time_us=1, counter=6)
    made.write("buried", "unknown", reason="", time_us=1, counter=0)
    return made


IN_TIME = ServerNow(START_US - 2_000, START_US - 1)
PERHAPS_LATE = ServerNow(START_US - 2_000, START_US)
REPLAYED = Refuse(expired=False, reason="replayed")
EXPIRED = Refuse(expired=True, reason="")


@pytest.mark.parametrize(
    ("command", "now", "expected"),
    [
        (order(), IN_TIME, Execute()),
        (order(), None, Wait()),
        (order(), PERHAPS_LATE, EXPIRED),
        (order(counter=5), IN_TIME, REPLAYED),
        (order(counter=6), IN_TIME, REPLAYED),
        (order(counter=4), IN_TIME, Execute()),  # late, but never seen: redelivery disorders
        (order(counter=5), PERHAPS_LATE, REPLAYED),
        (order(name="door_lock"), IN_TIME, Refuse(expired=False, reason="already_set")),
        (order(name="door_lock"), PERHAPS_LATE, EXPIRED),
        (order(name="self_destruct"), IN_TIME, Refuse(expired=False, reason="unknown_command")),
    ],
)
def test_the_table(command: Command, now: ServerNow | None, expected: Decision) -> None:
    assert decide(command, journal(), now, Car(1)) == expected


@pytest.mark.parametrize("known", ["done", "cut short", "buried"])
@pytest.mark.parametrize("now", [IN_TIME, PERHAPS_LATE, None])
def test_an_id_the_journal_knows_is_only_repeated(known: str, now: ServerNow | None) -> None:
    made = journal()
    assert decide(order(known, counter=99), made, now, Car(1)) == Repeat(made.find(known))  # type: ignore[arg-type]
