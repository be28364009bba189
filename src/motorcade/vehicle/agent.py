"""The car's program: samples the model into the buffer, and does what authentic commands ask.

Links call it through `Inbox`; it answers through the `Outbox`. It decides nothing itself
(`commands.py` does) and reads no clock but the one it was given.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from motorcade.clock import Clock
from motorcade.config import VehicleConfig
from motorcade.events import Topic
from motorcade.vehicle import actions
from motorcade.vehicle.answers import Answers
from motorcade.vehicle.buffer import STREAM_BYTES, Buffer
from motorcade.vehicle.commands import (
    Decision,
    Execute,
    Refusal,
    Refuse,
    Repeat,
    Wait,
    Wake,
    decide,
)
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.duties import Apply, Duties
from motorcade.vehicle.journal import Journal
from motorcade.vehicle.outbox import Outbox
from motorcade.vehicle.program import Moment, Program
from motorcade.vehicle.samples import Sampler, Signals
from motorcade.vehicle.server_time import ServerNow, ServerTimeKeeper
from motorcade.vehicle.sleeper import HELD_MAX, Held, Sleeper
from motorcade.vehicle.stations import Stations, Traced
from motorcade.vehicle.vehicle_file import VehicleFile
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import (
    Command,
    DownMessage,
    Hello,
    JournalEntry,
    JournalState,
    Outcome,
    Query,
    ServerTime,
)
from motorcade.wire.command.signing import verify

HELLO_S: Final = 5.0  # between hellos while the time is unknown
HELLO_AGAIN_S: Final = 15.0  # while it is known, but nobody has answered in this connection

Acknowledge = Callable[[], None]
Executed = Callable[[Command, int], None]
"""Told of each command carried out, with the latest the server's time can be then."""


@dataclass(slots=True)
class Counters:
    """What an agent has seen; for people and tests."""

    connects: int = 0
    disconnects: int = 0
    executed: int = 0
    refused: int = 0
    rejected: int = 0  # messages that were not authentic, or not for us
    last_reason: str = ""
    samples: int = 0


@dataclass(slots=True)
class AgentParts:
    """What an agent is made of; everything that touches the world comes in here."""

    vehicle: VehicleFile
    car: Any  # a `Car`, or another machine with `advance` that `refuses` and `apply` know
    clock: Clock
    buffer_disk: Disk
    journal_disk: Disk
    sampler: Sampler
    config: VehicleConfig
    entropy: Callable[[int], bytes]
    commanded: bool = True  # False on a road without commands: the time is not asked for then
    executed: Executed = field(default=lambda _command, _now_us: None)
    traced: Traced | None = None  # None: no time is taken for it
    topic: Topic = Topic.TELEMETRY  # of the samples
    refuses: Refusal = actions.refusal
    apply: Apply = actions.apply
    program: Program | None = None  # commands that the machine's program does itself
    also: Callable[[Any, float, int], None] = field(default=lambda _car, _now_s, _time_us: None)
    """Told of each sample, with monotonic seconds and the car's clock: who else wants to look."""


class Agent:
    """One car's program, without its connection. `Inbox` for links."""

    def __init__(self, parts: AgentParts) -> None:
        """Open buffer and journal. Raises `OSError`."""
        self._parts = parts
        self.vin = parts.vehicle.vin
        config = parts.config
        self.car = parts.car
        self.buffer = Buffer(
            parts.buffer_disk, bytes_max=config.buffer_bytes_max, entropy=parts.entropy
        )
        self.journal = Journal(
            parts.journal_disk,
            commands_max=config.journal_commands_max,
            responses_bytes_max=config.journal_responses_bytes_max,
        )
        self.damage = [*self.buffer.damage, *filter(None, [self.journal.damage])]
        self._answer_stream = parts.entropy(STREAM_BYTES).hex()
        self.outbox = Outbox(self.buffer, self._answer_stream)
        self.time = ServerTimeKeeper(entropy=parts.entropy, age_s_max=config.server_time_age_s_max)
        self.counters = Counters()
        self.online = False
        self.changed: Callable[[], object] = self.sample
        """Called when a command has changed the car. Whoever runs the agent may have it sampled a
        little later, so that the answer does not wait for the sample's sync."""
        self.later: Callable[[float, Callable[[], object]], object] = lambda _s, _do: None
        """Asked to call something so many seconds later. Without it `sample` finds what is due."""
        self._answers = Answers(self.journal, self.outbox)
        self._duties = Duties(parts.car, parts.refuses, parts.apply, parts.program)
        self._waiting: list[Held] = []  # for the time
        self._sleeper = Sleeper(
            parts.car, self._judge, lambda seconds: self.later(seconds, self._look)
        )
        self._judging: Stations | None = None  # of the command that is judged now, if traced
        self._started_s = parts.clock.monotonic_s()
        self._hello_s = 0.0

    def stand_in(self, car: Any) -> None:
        """Go on with another machine in place of this one."""
        self.car = self._duties.machine = self._sleeper.machine = car

    def sample(self) -> None:
        """Let the car live until now and store what it says. Raises `OSError`."""
        self._advance()
        self._sleeper.go_on()  # first, so that the sample shows it
        clock = self._parts.clock
        if not self._sleeper.silent(clock.monotonic_s(), self._parts.config.asleep_sample_s):
            self._store_sample()
        self._parts.also(self.car, clock.monotonic_s(), clock.now_us())
        if self.online and (self._now() is None or self._waiting):
            self._ask_time(every_s=HELLO_S)
        elif self.online and not self.time.heard:  # nor asked what became of our commands
            self._ask_time(every_s=HELLO_AGAIN_S)
        self.journal.sync()  # last: what fails there must not cost the sample

    def _store_sample(self) -> None:
        parts = self._parts
        payload = parts.sampler.sample(self.car, self._own_signals(), parts.clock.now_us())
        self.counters.samples += 1
        self._sleeper.spoke(parts.clock.monotonic_s())
        self.outbox.store(parts.topic, parts.sampler.encoding, payload)

    def _own_signals(self) -> Signals:
        """What the program says about itself rather than the car."""
        signals: Signals = {
            "link_backlog_bytes": self.buffer.backlog_bytes,
            "link_dropped_count": self.buffer.dropped,
        }
        now = self._now()
        if now is not None:
            truth_us = (now.earliest_us + now.latest_us) / 2
            signals["clock_offset"] = round((self._parts.clock.now_us() - truth_us) / 1e6, 1)
        return signals

    # Inbox: what links tell.

    def connected(self) -> None:
        self.online = True
        self.counters.connects += 1
        self._ask_time(every_s=0.0)
        self.report()

    def disconnected(self, reason: str) -> None:
        self.online = False
        self.counters.disconnects += 1
        self.counters.last_reason = reason
        self._waiting.clear()  # the server sends them again in the next connection
        self._sleeper.forget()
        self.time.forget_asked()

    def message(self, payload: bytes, acknowledge: Acknowledge) -> None:
        received_us = self._stamp() if self._parts.traced is not None else 0
        try:
            message = verify(payload, self._parts.vehicle.command_keys, self._parts.vehicle.token)
        except CommandCodecError as error:
            self.counters.rejected += 1
            self.counters.last_reason = str(error)
            acknowledge()  # or it would come again for ever
            return
        self._take(message, acknowledge, received_us)

    def _take(self, message: DownMessage, acknowledge: Acknowledge, received_us: int) -> None:
        match message:
            case Command():
                stations = None
                if self._parts.traced is not None:
                    stations = Stations(message, received_us, self._stamp())
                self._judge(Held(message, acknowledge, stations))
            case ServerTime():
                acknowledge()
                at_s = self._parts.clock.monotonic_s()
                self.time.answered(message.nonce, message.server_time_us, at_s)
                waiting, self._waiting = self._waiting, []
                for held in waiting:
                    self._judge(held)
            case Query():
                self._answers.recall(message.ids, self._stamp())
                acknowledge()

    def _judge(self, held: Held) -> None:
        """Decide, do, answer; acknowledge when the journal has it. Raises `OSError`."""
        command, stations = held.command, held.stations
        self._advance()
        decision: Decision = decide(
            command, self.journal, self._now(), self.car, self._duties.refusal
        )
        self._judging = stations
        if stations is not None:
            stations.judged_us = self._stamp()
        every_s = HELLO_S
        if self._doubts(decision):
            decision = Wait()
            every_s = HELLO_S if self._waiting else 0.0
        match decision:
            case Wait():
                if len(self._waiting) < HELD_MAX:
                    self._waiting.append(held)
                self._ask_time(every_s=every_s)
                return
            case Wake():
                self._sleeper.wake_for(held)
                return
            case Repeat(entry=entry):
                self._answers.repeat(entry)
            case Refuse(expired=expired, reason=reason):
                self._conclude(command, "expired" if expired else "refused", reason)
            case Execute():
                self._execute(command)
        held.acknowledge()

    def _doubts(self, decision: Decision) -> bool:
        """Whether the server may have set its clock back since it was heard: it is asked first.

        Without this every command would be late until the connection is made anew.
        """
        late = isinstance(decision, Refuse) and decision.expired
        return late and self.online and not self.time.is_fresh(self._parts.clock.monotonic_s())

    def _execute(self, command: Command) -> None:
        """The journal first, on disk; then the deed."""
        self._write(command, "started", "")
        now, begun_us = self._now(), self._stamp()
        if now is None or now.latest_us >= command.expires_time_us:
            self._conclude(command, "expired", "")  # the disk took its time; never late (P5)
            return
        moment = Moment(self._parts.clock.monotonic_s(), begun_us)
        ended = self._duties.run(command.name, command.parameters, moment)
        if self._judging is not None:
            self._judging.executed_us = self._stamp()
        if ended.reports:
            self.report()  # first: whoever waits for the answer finds what it changed
        if ended.reason:
            self._conclude(command, "refused", ended.reason, begun_us, ended.response)
            return
        self.counters.executed += 1
        self._parts.executed(command, now.latest_us)
        self._conclude(command, "executed", "", begun_us, ended.response)
        if self._sleeper.waking:
            self._sleeper.rouse()
        if ended.acted:
            self._sleeper.has_news()
            self.changed()  # so that whoever watches sees the effect at once

    def _look(self) -> None:
        """Raises `OSError`."""
        self._advance()
        if self._sleeper.looked():
            self.changed()

    def _conclude(
        self,
        command: Command,
        state: Outcome,
        reason: str,
        time_us: int | None = None,
        response: str = "",
    ) -> None:
        self.counters.refused += state == "refused"
        entry = self._write(command, state, reason, time_us, response)
        stations, self._judging = self._judging, None
        answered_us = self._stamp() if stations is not None else 0  # the cloud may hear it at once
        self._answers.repeat(entry)
        if stations is not None and self._parts.traced is not None:
            stations.answered_us = answered_us
            stations.state, stations.reason = state, reason
            self._parts.traced(stations)

    def _write(
        self,
        command: Command,
        state: JournalState,
        reason: str,
        time_us: int | None = None,
        response: str = "",
    ) -> JournalEntry:
        """`time_us` is when it happened, if that was not now."""
        entry = self.journal.write(
            command.id,
            state,
            reason=reason,
            time_us=self._stamp() if time_us is None else time_us,
            counter=command.counter,
            response=response,
        )
        if self._judging is not None and not self._judging.journaled_us:
            self._judging.journaled_us = self._stamp()
        return entry

    def report(self) -> None:
        """Tell what the program has to tell of itself, where commands come from."""
        if self._parts.program is not None and self._parts.commanded:
            self._answers.say(self._parts.program.report())

    def _ask_time(self, *, every_s: float) -> None:
        now_s = self._parts.clock.monotonic_s()
        if not self._parts.commanded or (every_s and now_s - self._hello_s < every_s):
            return
        self._hello_s = now_s
        self.outbox.hello(write_up(Hello(nonce=self.time.ask(now_s), stream=self._answer_stream)))

    def _stamp(self) -> int:
        """The car's own clock, which commands are not judged by."""
        return self._parts.clock.now_us()

    def _now(self) -> ServerNow | None:
        return self.time.now(self._parts.clock.monotonic_s())

    def _advance(self) -> None:
        self.car.advance(self._parts.clock.monotonic_s() - self._started_s)
