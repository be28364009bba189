"""The car obeys: once, in time, whoever may ask, and its journal never lies about it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.events import make_token
from motorcade.vehicle.disk import MemoryDisk
from motorcade.wire.command.messages import Answer, Command, Hello, Journal
from tests.vehicle.cloud import START_US, Conversation, agent_of, command, query, time_answer
from tests.vehicle.faulty_disk import FaultyDisk, PowerCutError


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_US)


@pytest.fixture
def talk(clock: SimulatedClock) -> Conversation:
    talk = Conversation(agent_of(clock), clock)
    talk.connect()
    return talk


def test_a_command_is_carried_out_and_answered(talk: Conversation) -> None:
    assert talk.outcome(command(1, "door_unlock")) == ("executed", "")
    assert not talk.agent.car.body.locked
    assert talk.acknowledged == 2  # the time and the command


def test_a_refusal_names_its_reason(talk: Conversation) -> None:
    assert talk.outcome(command(1, "door_lock")) == ("refused", "already_set")
    assert talk.outcome(command(2, "charge_stop")) == ("refused", "not_charging")


def test_the_effect_is_reported_at_once(talk: Conversation) -> None:
    talk.tell(command(1, "door_unlock"))
    payloads = []
    while (outgoing := talk.agent.outbox.next()) is not None:
        payloads.append(outgoing.payload)
    assert b'"executed"' in payloads[0]  # answers come before telemetry (P6)
    assert b'"locked":false' in payloads[-1]


def test_a_redelivery_is_answered_from_the_journal(talk: Conversation) -> None:
    talk.outcome(command(1, "actuate_trunk", parameters={"which_trunk": "rear"}))
    assert talk.outcome(command(1, "actuate_trunk", parameters={"which_trunk": "rear"})) == (
        "executed",
        "",
    )
    assert talk.agent.car.body.trunks_open["rear"]
    assert talk.agent.counters.executed == 1


@pytest.mark.parametrize(
    "forged",
    [
        command(1, key=Ed25519PrivateKey.from_private_bytes(b"x" * 32)),
        command(1, vehicle=make_token(b"another car's id")),
        command(1)[:-3] + b'="}',
        b"",
        b"{}",
        b"\xff" * 100,
        b"[" * 5_000,
        b"{" + b'"a":1,' * 20_000,
    ],
)
def test_what_is_not_authentic_changes_nothing_and_does_not_come_again(
    talk: Conversation, forged: bytes
) -> None:
    talk.tell(forged)
    assert talk.heard() == []
    assert talk.agent.counters.rejected == 1
    assert len(talk.agent.journal) == 0
    assert talk.acknowledged == 2


def test_a_used_counter_is_a_replay(talk: Conversation) -> None:
    talk.outcome(command(1))
    assert talk.outcome(command(2, counter=1)) == ("refused", "replayed")


def test_a_command_waits_for_the_time_and_is_then_judged_by_it(clock: SimulatedClock) -> None:
    talk = Conversation(agent_of(clock), clock)
    talk.agent.connected()
    talk.tell(command(1, expires_s=5))
    talk.tell(command(2, expires_s=60))
    (hello,) = talk.heard()
    assert isinstance(hello, Hello)
    assert talk.acknowledged == 0
    clock.advance(10.0)
    talk.tell(time_answer(hello.nonce, clock.now_us()))
    answers = [answer for answer in talk.heard() if isinstance(answer, Answer)]
    assert [(answer.id, answer.state) for answer in answers] == [
        ("command-1", "expired"),
        ("command-2", "executed"),
    ]
    assert talk.acknowledged == 3


def test_an_answer_to_an_earlier_connections_question_is_not_the_time(
    clock: SimulatedClock,
) -> None:
    talk = Conversation(agent_of(clock), clock)
    talk.agent.connected()
    (old,) = talk.heard()
    assert isinstance(old, Hello)
    talk.agent.disconnected("tunnel")
    clock.advance(20.0)
    talk.agent.connected()
    (new,) = talk.heard()
    assert isinstance(new, Hello)
    talk.tell(time_answer(old.nonce, clock.now_us()))
    talk.tell(command(1, now_us=clock.now_us(), expires_s=10))
    assert talk.heard() == []  # 20 s of doubt would have refused it
    talk.tell(time_answer(new.nonce, clock.now_us()))
    (answer,) = talk.heard()
    assert isinstance(answer, Answer)
    assert answer.state == "executed"


def test_what_waits_in_a_broken_connection_comes_with_the_next(clock: SimulatedClock) -> None:
    talk = Conversation(agent_of(clock), clock)
    talk.agent.connected()
    talk.tell(command(1))
    talk.agent.disconnected("tunnel")
    talk.heard()
    talk.agent.connected()
    talk.tell(command(1))
    (hello,) = talk.heard()
    assert isinstance(hello, Hello)
    talk.tell(time_answer(hello.nonce, clock.now_us()))
    (answer,) = talk.heard()
    assert isinstance(answer, Answer)
    assert talk.acknowledged == 2  # the time and the one command, on the living connection


def test_the_cars_own_clock_does_not_judge(talk: Conversation, clock: SimulatedClock) -> None:
    clock.set_wall(START_US - 86_400_000_000)
    clock.advance(40.0)
    assert talk.outcome(command(1, expires_s=30)) == ("expired", "")


def test_an_expired_answer_is_final_and_stays(talk: Conversation, clock: SimulatedClock) -> None:
    clock.advance(31.0)
    assert talk.outcome(command(1)) == ("expired", "")
    assert talk.outcome(command(1, expires_s=600)) == ("expired", "")
    assert talk.agent.counters.executed == 0


def test_commands_get_through_after_the_server_set_its_clock_back(
    talk: Conversation, clock: SimulatedClock
) -> None:
    clock.advance(600.0)
    talk.server_set_us = -3_600_000_000
    assert talk.outcome(command(1, now_us=talk.server_us())) == ("executed", "")
    clock.advance(1.5)
    assert talk.outcome(command(2, now_us=START_US)) == ("executed", "")  # an hour from now
    clock.advance(1.5)
    talk.server_set_us = 0
    assert talk.outcome(command(3, now_us=talk.server_us())) == ("executed", "")


def test_what_seems_late_waits_for_the_servers_word_and_is_asked_again(
    talk: Conversation, clock: SimulatedClock
) -> None:
    clock.advance(60.0)
    acknowledged = talk.acknowledged
    talk.tell(command(1))
    talk.tell(command(2))
    (lost,) = talk.heard()  # one question for both
    assert isinstance(lost, Hello)
    assert talk.acknowledged == acknowledged
    clock.advance(6.0)
    talk.agent.sample()
    (again,) = talk.heard()
    assert isinstance(again, Hello)
    talk.tell(time_answer(again.nonce, talk.server_us()))
    answers = [one for one in talk.heard() if isinstance(one, Answer)]
    assert [one.state for one in answers] == ["expired", "expired"]
    assert talk.acknowledged == acknowledged + 3


def test_a_disk_that_takes_its_time_makes_nothing_late(clock: SimulatedClock) -> None:
    class SlowDisk(MemoryDisk):
        def sync(self, name: str) -> None:
            clock.advance(20.0)
            super().sync(name)

    talk = Conversation(agent_of(clock, journal_disk=SlowDisk()), clock)
    talk.connect()
    assert talk.outcome(command(1, "door_unlock", expires_s=19)) == ("expired", "")
    assert talk.agent.car.body.locked


def test_the_journal_says_when_it_was_done_not_when_it_was_written(clock: SimulatedClock) -> None:
    class SlowDisk(MemoryDisk):
        def sync(self, name: str) -> None:
            clock.advance(4.0)
            super().sync(name)

    talk = Conversation(agent_of(clock, journal_disk=SlowDisk()), clock)
    talk.connect()
    talk.tell(command(1, expires_s=5))
    (answer,) = talk.heard()
    assert isinstance(answer, Answer)
    assert (answer.state, answer.time_us) == ("executed", START_US + 4_000_000)


def test_a_full_disk_carries_nothing_out(clock: SimulatedClock) -> None:
    class FullDisk(MemoryDisk):
        def append(self, name: str, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def truncate(self, name: str, size: int) -> None:
            pass

    talk = Conversation(agent_of(clock, journal_disk=FullDisk()), clock)
    talk.connect()
    with pytest.raises(OSError, match="No space"):
        talk.tell(command(1, "door_unlock"))
    assert talk.agent.car.body.locked
    assert talk.acknowledged == 1  # the time alone: the command comes again


def test_a_question_about_an_unknown_command_buries_it(talk: Conversation) -> None:
    talk.outcome(command(1))
    assert talk.states(1, 2) == ["executed", "unknown"]
    talk.tell(command(2, "door_unlock"))
    (answer,) = talk.heard()
    assert isinstance(answer, Journal)  # not "expired": the car only knows that it never will
    assert talk.agent.car.body.locked
    assert talk.states(2) == ["unknown"]


def test_the_time_is_asked_again_when_it_is_old(clock: SimulatedClock) -> None:
    talk = Conversation(agent_of(clock, config=VehicleConfig(server_time_age_s_max=60.0)), clock)
    talk.connect()
    clock.advance(61.0)
    talk.agent.sample()
    (hello,) = talk.heard()
    assert isinstance(hello, Hello)
    talk.tell(time_answer(hello.nonce, clock.now_us()))
    assert talk.outcome(command(1, now_us=clock.now_us())) == ("executed", "")


def test_hello_is_said_again_until_somebody_answers(clock: SimulatedClock) -> None:
    """The cloud asks at a hello what became of commands: one that got lost leaves them open."""
    talk = Conversation(agent_of(clock), clock)
    talk.connect()
    talk.agent.disconnected("tunnel")
    talk.agent.connected()
    assert len(talk.heard()) == 1  # and no answer comes
    hellos = []
    for _ in range(40):
        clock.advance(1.0)
        talk.agent.sample()
        hellos += [said for said in talk.heard() if isinstance(said, Hello)]
    assert len(hellos) == 2
    talk.tell(time_answer(hellos[-1].nonce, clock.now_us()))
    for _ in range(60):
        clock.advance(1.0)
        talk.agent.sample()
    assert talk.heard() == []


def test_a_wrong_clock_is_told(talk: Conversation, clock: SimulatedClock) -> None:
    clock.set_wall(clock.now_us() + 120_000_000)
    talk.agent.sample()
    outgoing = talk.agent.outbox.next()
    assert outgoing is not None
    assert b'"clock_offset":120.0' in outgoing.payload


def test_commands_that_wait_are_bounded(clock: SimulatedClock) -> None:
    talk = Conversation(agent_of(clock), clock)
    talk.agent.connected()
    for number in range(1, 500):
        talk.tell(command(number))
    assert len(talk.agent._waiting) == 64
    assert len(talk.heard()) == 1  # one hello, not five hundred


ORDERS = [
    command(1, "door_unlock"),
    command(2, "honk_horn"),
    command(3, "charge_stop"),
    command(4, "actuate_trunk", parameters={"which_trunk": "rear"}),
    command(5, "flash_lights", expires_s=0.0),
]


def live(talk: Conversation) -> None:
    talk.connect()
    for payload in ORDERS:
        talk.tell(payload)
    talk.tell(query(6))


def test_no_power_cut_makes_a_command_happen_twice_or_the_journal_lie() -> None:
    whole = FaultyDisk()
    start = SimulatedClock(START_US)
    live(Conversation(agent_of(start, journal_disk=whole), start))
    for cut_at in range(1, whole.changes + 1):
        done: list[str] = []

        def executed(order: Command, _now_us: int, done: list[str] = done) -> None:
            done.append(order.id)

        clock = SimulatedClock(START_US)
        disk = FaultyDisk(cut_at=cut_at)
        with pytest.raises(PowerCutError):
            live(Conversation(agent_of(clock, journal_disk=disk, executed=executed), clock))
        found = FaultyDisk(disk.after_cut(cut_at))
        talk = Conversation(agent_of(clock, journal_disk=found, executed=executed, seed=2), clock)
        live(talk)  # the cloud delivers everything again
        talk.heard()
        assert len(done) == len(set(done)), f"cut at {cut_at}: twice: {done}"
        states = talk.states(1, 2, 3, 4, 5, 6)
        for number, state in enumerate(states, start=1):
            happened = f"command-{number}" in done
            assert state != "executed" or happened, f"cut at {cut_at}: {number} never happened"
            assert state in ("executed", "started") or not happened, f"cut at {cut_at}: {number}"
        assert states[2] == "refused"
        assert states[4] == "expired"
        assert states[5] == "unknown"


class WatchedDisk(MemoryDisk):
    """Keeps what was synced; its syncs fail on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.synced = b""
        self.fails = False

    def sync(self, name: str) -> None:
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync(name)
        self.synced = bytes(self.files[name])


def test_the_end_of_a_command_is_on_disk_with_the_sample_that_follows() -> None:
    clock, disk = SimulatedClock(START_US), WatchedDisk()
    talk = Conversation(agent_of(clock, journal_disk=disk), clock)
    talk.connect()
    talk.agent.changed = lambda: None
    assert talk.outcome(command(1, "honk_horn")) == ("executed", "")
    assert b'"executed"' not in disk.synced  # the answer has not waited for it
    disk.fails = True
    before = talk.agent.buffer.backlog_records
    with pytest.raises(OSError, match="Input/output"):
        talk.agent.sample()
    assert talk.agent.buffer.backlog_records == before + 1, "the journal's fault cost a sample"
    disk.fails = False
    talk.agent.sample()
    assert b'"executed"' in disk.synced
