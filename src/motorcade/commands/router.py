"""The router's judgement: requests, news and time in; entries for the log out. No IO, no clock.

The single writer of every command's state (P5). Each method is told the time, decides by the table
in `states.py`, keeps the decision in memory and returns the entries for the log. Nobody is told of
one before `confirm`. What time or a caller brought waits for the log to hold the entry; what
follows from a record that the log holds is told at once (0021): a router started anew reads that
record again and makes the same entry, with the record's time. A router given the same calls makes
the same entries; one that `restore`s what the ledger holds goes on where the last one's log ends.
"""

from collections.abc import Callable, Iterable
from typing import Final

from motorcade.commands.entries import US, Downlink, Entry
from motorcade.commands.errors import IdempotencyMismatchError
from motorcade.commands.port import CommandView, Request, Step
from motorcade.commands.roll import Roll
from motorcade.commands.states import REASONS, TRANSITIONS, Event, State
from motorcade.commands.tracked import Tracked
from motorcade.config import CommandsConfig
from motorcade.events import VehicleToken
from motorcade.wire.command.messages import (
    IDS_MAX,
    Answer,
    Hello,
    Journal,
    JournalEntry,
    Keys,
    UpMessage,
)
from motorcade.wire.command.records import (
    DELIVERY_UNKNOWN,
    HANDED_OVER,
    UNDELIVERED,
    Transition,
)

NOTICES: Final[dict[bytes, Event]] = {
    HANDED_OVER: Event.HANDED,
    UNDELIVERED: Event.UNDELIVERED,
    DELIVERY_UNKNOWN: Event.DELIVERY_UNKNOWN,
}
CAR_SAYS: Final[dict[str, Event]] = {
    "executed": Event.CAR_EXECUTED,
    "refused": Event.CAR_REFUSED,
    "expired": Event.CAR_EXPIRED,
    "unknown": Event.CAR_NEVER,
    "started": Event.CAR_INTERRUPTED,
}


class Router:
    """All commands that are not final, and those the ledger has not taken over yet."""

    def __init__(
        self,
        config: CommandsConfig,
        downlink: Downlink,
        entropy: Callable[[int], bytes],
        last_counter: Callable[[VehicleToken], int],
    ) -> None:
        self._config = config
        self._downlink = downlink
        self._entropy = entropy
        self._last_counter = last_counter  # the ledger's word for vehicles not seen since start
        self._roll = Roll(config)
        self._counters: dict[VehicleToken, int] = {}
        self._hello_due_us: dict[VehicleToken, int] = {}  # GCRA: when the bucket is full again
        self.contradictions = 0  # cars that say another outcome than they said before

    def open_counts(self) -> dict[str, int]:
        """How many commands are not final."""
        return self._roll.open_counts()

    def find(self, command_id: str) -> Tracked | None:
        """A command that is not final, or was not long ago."""
        return self._roll.find(command_id)

    def find_key(self, account: str, idempotency_key: str) -> Tracked | None:
        """The same, by its caller's key."""
        return self._roll.find_key(account, idempotency_key)

    def of_vehicle(self, vehicle: VehicleToken) -> list[Tracked]:
        """The vehicle's commands in memory, in no particular order."""
        return self._roll.of_vehicle(vehicle)

    def request(self, request: Request, now_us: int) -> tuple[Tracked, list[Entry]]:
        """Take a request: a new command, or the one its key already stands for.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
            TooManyCommandsError: the vehicle's limits.
            RouterBusyError: the router's limits.
            CommandCodecError: the parameters do not fit into a message.
        """
        if request.idempotency_key:
            known = self.find_key(request.account, request.idempotency_key)
            if known is not None:
                check_same(request, known.vehicle, known.name, known.parameters)
                return known, []
        self._roll.check_room(request.vehicle)
        command_id = self._new_id(now_us)
        counter = self._next_counter(request.vehicle, now_us)
        expires_time_us = now_us + request.expires_s * US
        message = self._downlink.command(request, command_id, counter, now_us, expires_time_us)
        tracked = Tracked(
            id=command_id,
            vehicle=request.vehicle,
            name=request.name,
            parameters=request.parameters,
            account=request.account,
            idempotency_key=request.idempotency_key or command_id,
            counter=counter,
            expires_time_us=expires_time_us,
            steps=[Step(State.REQUESTED, now_us)],
        )
        self._counters[request.vehicle] = counter
        self._roll.add(tracked)
        payload = Transition(
            id=command_id,
            state=State.REQUESTED.value,
            time_us=now_us,
            expires_time_us=expires_time_us,
            name=tracked.name,
            parameters=tracked.parameters,
            counter=counter,
            account=tracked.account,
            idempotency_key=tracked.idempotency_key,
            message=message,
        )
        return tracked, [Entry(request.vehicle, now_us, payload)]

    def notice(
        self, name: bytes, vehicle: VehicleToken, command_id: str, received_us: int, now_us: int
    ) -> list[Entry]:
        """Take a gateway's notice about a command; of other ids and names, nothing."""
        event = NOTICES.get(name)
        tracked = self._roll.find(command_id)
        if event is None or tracked is None or tracked.vehicle != vehicle:
            return []
        if event is Event.HANDED:
            tracked.handed_over = True
        elif event is Event.UNDELIVERED and tracked.handed_over:
            return []  # contradicts what we saw: leave it to the car
        return self._enter(tracked, event, "", received_us, now_us)

    def message(
        self, message: UpMessage, vehicle: VehicleToken, received_us: int, now_us: int
    ) -> list[Entry]:
        """Take what a vehicle sent. It speaks of its own commands only; others are ignored."""
        if isinstance(message, Keys):
            return []  # says nothing of a command: whoever keeps key lists hears it
        if isinstance(message, Hello):
            return self._hello(message, vehicle, received_us, now_us)
        said = message.entries if isinstance(message, Journal) else [message]
        entries = []
        for answer in said:
            entries += self._answer(answer, vehicle, received_us, now_us)
        return entries

    def tick(self, now_us: int) -> list[Entry]:
        """Let time pass: what is overdue becomes unknown, and its car is asked."""
        entries: list[Entry] = []
        ask: dict[VehicleToken, None] = {}
        for tracked in self._roll.due(now_us):
            if tracked.state is State.OUTCOME_UNKNOWN:
                self._roll.drop(tracked)  # as old as the ledger reaches back: nobody will know
                continue
            entries += self._enter(tracked, Event.OVERDUE, "", now_us, now_us)
            ask[tracked.vehicle] = None
        for vehicle in ask:
            entries += self._ask(vehicle, now_us)
        return entries

    def confirm(self, entry: Entry) -> Tracked | None:
        """The log holds `entry`, or what it follows from: it may be told.

        Returns its command; `None` for messages, for what was told already, and for what follows
        on a step that may not be told yet (that one's own place in the log confirms it).
        """
        tracked = self._roll.find(entry.payload.id)
        if tracked is None or not isinstance(entry.payload, Transition) or tracked.unsaid is None:
            return None
        if entry.payload.state != tracked.unsaid.state:
            return None
        tracked.told += 1
        return tracked

    def forget(self, ids: Iterable[str]) -> None:
        """The ledger holds the end of these: they need no memory any more."""
        for command_id in ids:
            tracked = self._roll.find(command_id)
            if tracked is not None and tracked.settled:
                self._roll.drop(tracked)

    def restore(self, view: CommandView, counter: int) -> None:
        """Go on with a command that is not final, as the ledger has it."""
        self._roll.add(Tracked.restored(view, counter))

    def _new_id(self, now_us: int) -> str:
        return f"{now_us:014x}{self._entropy(9).hex()}"  # sorts by time; 72 random bits

    def _next_counter(self, vehicle: VehicleToken, now_us: int) -> int:
        """Above all before it, and not below the time: also after a loss of all our files."""
        last = self._counters.get(vehicle)
        if last is None:
            last = self._last_counter(vehicle)
        return max(last + 1, now_us)

    def _hello(
        self, hello: Hello, vehicle: VehicleToken, received_us: int, now_us: int
    ) -> list[Entry]:
        spacing_us = round(US / self._config.hellos_per_s)
        due_us = max(self._hello_due_us.get(vehicle, 0), now_us)
        if due_us - now_us > spacing_us * self._config.hellos_burst:
            return []
        self._hello_due_us[vehicle] = due_us + spacing_us
        entries = []
        if now_us - received_us <= self._config.hello_age_s_max * US:
            message_id = self._new_id(now_us)
            entries.append(self._downlink.server_time(vehicle, hello.nonce, message_id, now_us))
        return entries + self._ask(vehicle, now_us)

    def _ask(self, vehicle: VehicleToken, now_us: int) -> list[Entry]:
        """Ask for everything that is open, so that a question replaces the one before it."""
        ids = self._roll.unresolved(vehicle)
        parts = [ids[at : at + IDS_MAX] for at in range(0, len(ids), IDS_MAX)]
        return [
            self._downlink.query(vehicle, asked, part, self._new_id(now_us), now_us)
            for part, asked in enumerate(parts)
        ]

    def _answer(
        self, answer: Answer | JournalEntry, vehicle: VehicleToken, received_us: int, now_us: int
    ) -> list[Entry]:
        tracked = self._roll.find(answer.id)
        if tracked is None or tracked.vehicle != vehicle:
            return []
        event = CAR_SAYS[answer.state]
        if tracked.final and TRANSITIONS[State.REQUESTED][event] is not tracked.state:
            self.contradictions += 1
        return self._enter(tracked, event, answer.reason, received_us, now_us, answer.response)

    def _enter(
        self,
        tracked: Tracked,
        event: Event,
        reason: str,
        time_us: int,
        now_us: int,
        response: str = "",
    ) -> list[Entry]:
        """Follow the table from the command's state; no entry when nothing follows.

        The step has the time of what it follows from, the entry that of its writing.
        """
        state = TRANSITIONS[tracked.state].get(event)
        if state is None:
            return []
        self._roll.leave(tracked)
        time_us = max(time_us, tracked.steps[-1].time_us)
        step = Step(state, time_us, reason or REASONS.get(event, ""), response)
        tracked.steps.append(step)
        self._roll.enter(tracked)
        payload = Transition(
            id=tracked.id,
            state=state.value,
            time_us=step.time_us,
            reason=step.reason,
            response=step.response,
        )
        return [Entry(tracked.vehicle, now_us, payload)]


def check_same(
    request: Request, vehicle: VehicleToken, name: str, parameters: dict[str, object]
) -> None:
    """A key stands for one request. Raises `IdempotencyMismatchError` when this is another."""
    if (request.vehicle, request.name, request.parameters) != (vehicle, name, parameters):
        raise IdempotencyMismatchError("this idempotency key was used for another request")
