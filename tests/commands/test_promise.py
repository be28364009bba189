"""P5 under fire: cuts, repeats, reordering and crashes of router, gateway and car, at random.

The router and the ledger are the real ones. The gateway, the car with its journal, the network and
the log's durability are models small enough to be seen to keep their part of the contract. After
every step: nothing was executed twice or late, nothing told contradicts the journal, counters never
repeat. At the end everything is mended, and every command must have found its one final state.
"""

import tempfile
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from motorcade.commands.entries import US, Downlink, Entry
from motorcade.commands.ledger import Ledger
from motorcade.commands.port import Request, Step
from motorcade.commands.router import Router
from motorcade.commands.states import FINAL, TRANSITIONS, State
from motorcade.config import CommandsConfig
from motorcade.events import VehicleToken
from motorcade.wire.command.answers import read_up, write_up
from motorcade.wire.command.messages import (
    Answer,
    Command,
    Hello,
    Journal,
    JournalEntry,
    Query,
    UpMessage,
)
from motorcade.wire.command.records import (
    DELIVERY_UNKNOWN,
    HANDED_OVER,
    UNDELIVERED,
    Transition,
)
from motorcade.wire.command.signing import verify

CAR = VehicleToken("IABCDEFGHJKLMNPRS")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
CONFIG = CommandsConfig(in_flight_per_vehicle_max=1_000, unresolved_per_vehicle_max=1_000)


@dataclass
class Car:
    """Keeps its journal through everything; all else is lost with the power."""

    journal: dict[str, str] = field(default_factory=dict)
    executions: list[tuple[str, int, int]] = field(default_factory=list)  # id, when, expiry
    outbox: list[bytes] = field(default_factory=list)  # until the gateway's PUBACK
    connected: bool = False

    def receive(self, payload: bytes, now_us: int, crash: str) -> None:
        message = verify(payload, {"k1": KEY.public_key()}, CAR)
        if isinstance(message, Query):
            entries = [self._recall(command_id) for command_id in message.ids]
            self._publish(Journal(entries=entries))
        elif isinstance(message, Command):
            self._judge(message, now_us, crash)

    def lose_power(self) -> None:
        self.outbox, self.connected = [], False

    def _judge(self, command: Command, now_us: int, crash: str) -> None:
        if command.id not in self.journal:
            if now_us >= command.expires_time_us:
                self.journal[command.id] = "expired"
            elif command.name == "door_unlock":  # say: it is driving
                self.journal[command.id] = "refused"
            else:
                self.journal[command.id] = "started"
                if crash == "before execution":
                    return self.lose_power()
                self.executions.append((command.id, now_us, command.expires_time_us))
                if crash == "after execution":
                    return self.lose_power()
                self.journal[command.id] = "executed"
            if crash == "before answer":
                return self.lose_power()
        state: Any = self.journal[command.id]
        if state in ("started", "unknown"):
            self._publish(Journal(entries=[JournalEntry(id=command.id, state=state)]))
        else:
            self._publish(Answer(id=command.id, state=state))
        return None

    def _recall(self, command_id: str) -> JournalEntry:
        state: Any = self.journal.setdefault(command_id, "unknown")  # the tombstone
        return JournalEntry(id=command_id, state=state)

    def _publish(self, message: UpMessage) -> None:
        self.outbox.append(write_up(message))


News = tuple[bytes, str, bytes, int]  # name, id, payload, when it was received


@dataclass
class Gateway:
    """One gateway process. Notices and answers reach the log at `sync`, or die with it."""

    born_at: int  # length of COMMANDS when it started: older records it did not see being written
    read_to: int = 0
    handed: set[str] = field(default_factory=set)
    unsynced: list[News] = field(default_factory=list)


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_us = 1_700_000_000 * US
        self.numbers = count(1)
        self.commands_log: list[Entry] = []  # durable
        self.appended: list[Entry] = []  # not durable yet
        self.answers_log: list[News] = []  # durable
        self.answers_read = 0
        self.answers_stored = 0  # the cursor that survives
        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.directory.name) / "ledger.sqlite")
        self.in_ledger = 0
        self.car = Car()
        self.gateway = Gateway(0)
        self.wire: list[bytes] = []
        self.told: dict[str, tuple[Step, ...]] = {}
        self.keys: dict[str, str] = {}
        self.started()

    def started(self) -> None:
        downlink = Downlink("k1", KEY, CONFIG.message_expires_s)
        self.router = Router(CONFIG, downlink, self.entropy, self.ledger.counter)

    def entropy(self, size: int) -> bytes:
        return next(self.numbers).to_bytes(size, "big")

    def teardown(self) -> None:
        self.mend()
        self.ledger.close()
        self.directory.cleanup()

    @initialize()
    def connect_first(self) -> None:
        self.connect()

    # The app.

    @rule(
        name=st.sampled_from(["honk_horn", "door_unlock"]),
        expires_s=st.sampled_from([1, 10, 30]),
        key=st.sampled_from(["", "", "a", "b"]),
        way=st.integers(0, 4),
    )
    def request(self, name: str, expires_s: int, key: str, way: int) -> None:
        """A request; `way` says how much of its road it goes without a fault."""
        request = Request(CAR, name, {}, "owner", key and key + name, expires_s)
        if key and self.router.find_key("owner", request.idempotency_key) is None:
            view = self.ledger.find_key("owner", request.idempotency_key)
            if view is not None:
                assert self.keys[request.idempotency_key] == view.id
                return
        tracked, entries = self.router.request(request, self.now_us)
        if key and tracked.id in self.told:
            assert self.keys[request.idempotency_key] == tracked.id
        self.appended += entries
        if way >= 1:
            self.commit()
        if way >= 2:
            self.hand_over()
        if way >= 3 and self.wire:
            self.receive(len(self.wire) - 1, True, "")
        if way >= 4:
            self.send_up()

    # The log.

    def commit(self) -> None:
        self.commands_log += self.appended
        self.tell(self.appended)
        self.appended = []

    @rule()
    def index(self) -> None:
        records = [entry.record(64) for entry in self.commands_log[self.in_ledger :]]
        cursors = {"answers": b"%d" % self.answers_stored}
        self.router.forget(self.ledger.apply(records, cursors))
        self.in_ledger = len(self.commands_log)

    def tell(self, entries: list[Entry]) -> None:
        """What callers and watchers hear: a timeline that may grow, and is never another one."""
        for entry in entries:
            tracked = self.router.confirm(entry)
            if tracked is not None:
                view = tracked.view()
                before = self.told.get(view.id, ())
                assert all(a == b for a, b in zip(view.timeline, before, strict=False))
                self.told[view.id] = max(view.timeline, before, key=len)
                self.keys.setdefault(view.idempotency_key, view.id)

    # The router.

    @rule(steps=st.integers(1, 5))
    def read_answers(self, steps: int) -> None:
        for name, command_id, payload, received_us in self.answers_log[self.answers_read :][:steps]:
            self.answers_read += 1
            if name:
                entries = self.router.notice(name, CAR, command_id, received_us, self.now_us)
            else:
                message = read_up(payload)
                entries = self.router.message(message, CAR, received_us, self.now_us)
            self.appended += entries
            self.tell(entries)
        if not self.appended:
            self.answers_stored = self.answers_read

    @rule()
    def crash_router(self) -> None:
        self.appended = []
        self.index()
        stored = self.ledger.cursor("answers")
        self.answers_read = self.answers_stored = int(stored or b"0")
        self.started()
        for view, counter in self.ledger.not_final():
            self.router.restore(view, counter)
        self.read_answers(10_000)  # before time passes, as the runner does

    @rule(seconds=st.sampled_from([0.1, 1, 10, 40]), commit=st.booleans())
    def pass_time(self, seconds: float, commit: bool) -> None:
        self.now_us += round(seconds * US)
        self.appended += self.router.tick(self.now_us)
        if commit:
            self.commit()

    # The gateway.

    def news(self, name: bytes = b"", command_id: str = "", payload: bytes = b"") -> None:
        self.gateway.unsynced.append((name, command_id, payload, self.now_us))

    @rule(read=st.booleans())
    def sync(self, read: bool) -> None:
        self.answers_log += self.gateway.unsynced
        self.gateway.unsynced = []
        if self.car.connected:
            self.car.outbox = []  # PUBACK
        if read:
            self.read_answers(10_000)
            self.commit()

    @rule()
    def crash_gateway(self) -> None:
        self.gateway = Gateway(len(self.commands_log))
        self.cut()

    @rule()
    def hand_over(self) -> None:
        if not self.car.connected:
            return
        self.gateway.read_to = len(self.commands_log)
        for entry in self.commands_log:
            payload = entry.payload
            if not payload.message or self.answered(payload.id):
                continue
            if self.now_us < payload.expires_time_us:
                if isinstance(payload, Transition) and payload.id not in self.gateway.handed:
                    self.news(HANDED_OVER, payload.id)
                self.gateway.handed.add(payload.id)
                self.wire.append(bytes(payload.message))

    @rule()
    def notice_expiry(self) -> None:
        noticed = {command_id for _, command_id, *_ in self.answers_log + self.gateway.unsynced}
        for position, entry in enumerate(self.commands_log):
            payload = entry.payload
            if not isinstance(payload, Transition) or not payload.message:
                continue
            if payload.id in noticed | self.gateway.handed or self.now_us < payload.expires_time_us:
                continue
            seen = position >= self.gateway.born_at
            name = UNDELIVERED if seen else DELIVERY_UNKNOWN
            self.news(name, payload.id)

    def answered(self, command_id: str) -> bool:
        return any(
            not name and command_id in payload.decode() for name, _, payload, _ in self.answers_log
        )

    # The car and its link.

    @rule()
    def connect(self) -> None:
        self.car.connected = True
        self.news(payload=write_up(Hello(nonce="n")))
        self.send_up()

    @rule()
    def cut(self) -> None:
        self.car.connected = False

    @rule()
    def send_up(self) -> None:
        """QoS 1: all that is not acknowledged, as often as it takes."""
        if self.car.connected:
            for payload in self.car.outbox:
                self.news(payload=payload)

    @rule()
    def crash_car(self) -> None:
        self.car.lose_power()

    @rule(
        place=st.integers(0, 30),
        keep=st.booleans(),
        crash=st.sampled_from(["", "", "", "before execution", "after execution", "before answer"]),
    )
    def receive(self, place: int, keep: bool, crash: str) -> None:
        """Any message on the wire, in any order; kept ones come again."""
        if self.wire:
            payload = self.wire[place % len(self.wire)]
            if not keep:
                self.wire.remove(payload)
            self.car.receive(payload, self.now_us, crash)

    @rule()
    def lose_wire(self) -> None:
        self.wire = []

    # What must hold.

    @invariant()
    def executed_once_and_in_time(self) -> None:
        ids = [command_id for command_id, _, _ in self.car.executions]
        assert len(ids) == len(set(ids))
        assert all(when < expiry for _, when, expiry in self.car.executions)

    @invariant()
    def what_is_told_is_true(self) -> None:
        executed = {command_id for command_id, _, _ in self.car.executions}
        for command_id, steps in self.told.items():
            journal = self.car.journal.get(command_id)
            state = steps[-1].state
            if state in (State.EXECUTED, State.REFUSED):
                assert journal == state
            elif state is State.EXPIRED:
                assert command_id not in executed
                assert journal in (None, "expired", "unknown")

    @invariant()
    def timelines_follow_the_table(self) -> None:
        for steps in self.told.values():
            assert steps[0].state is State.REQUESTED
            for before, after in pairwise(steps):
                assert after.state in TRANSITIONS[before.state].values()

    @invariant()
    def counters_rise(self) -> None:
        transitions = [entry.payload for entry in self.commands_log]
        counters = [t.counter for t in transitions if isinstance(t, Transition) and t.counter]
        assert counters == sorted(set(counters))

    def mend(self) -> None:
        """No more faults: within a few rounds everybody must know how everything ended."""
        self.commit()
        for _ in range(4):
            self.connect()
            for _ in range(3):
                self.hand_over()
                while self.wire:
                    self.receive(0, False, "")
                self.send_up()
                self.notice_expiry()
                self.sync(True)
            self.pass_time(40, True)
        self.what_is_told_is_true()
        for command_id, steps in self.told.items():
            state = steps[-1].state
            if self.car.journal.get(command_id) == "started":
                assert state is State.OUTCOME_UNKNOWN
            else:
                assert state in FINAL, (steps, self.car.journal.get(command_id))


TestPromise = World.TestCase
TestPromise.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
