"""What the car answers to a command: judged here, done by the agent. No IO, no clock.

In this order: was this id met before (then the journal answers), is the time known (else wait), is
its counter new, is it still in time by the cloud's own signed clock, would the car do it now. What
comes in has already passed `wire.command.signing.verify`: authentic, and for this vehicle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from motorcade.vehicle.actions import ACCEPTED, ASLEEP, Parameters, refusal
from motorcade.vehicle.journal import Journal
from motorcade.vehicle.server_time import ServerNow
from motorcade.wire.command.messages import Command, JournalEntry

REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Execute:
    """Journal it as started, carry it out, journal the outcome, answer."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Journal the refusal and answer. `state` is "refused" or "expired"."""

    expired: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """The journal has it already: say so again, do nothing."""

    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class Wait:
    """The time is not known yet: ask, and judge again when it is."""


@dataclass(frozen=True, slots=True)
class Wake:
    """It sleeps, and the command says to wake it: call it, and judge again when it is awake."""


Decision = Execute | Refuse | Repeat | Wait | Wake

Refusal = Callable[[Any, str, Parameters], str]
"""Why a machine does not carry out the command of this name now; `ACCEPTED` if it does."""


def decide(
    command: Command,
    journal: Journal,
    now: ServerNow | None,
    machine: Any,
    refuses: Refusal = refusal,
) -> Decision:
    """Judge an authentic command for this car, or other machine that `refuses` knows."""
    known = journal.find(command.id)
    if known is not None:
        return Repeat(known)
    if now is None:
        return Wait()
    if journal.counter_used(command.counter):
        return Refuse(expired=False, reason=REPLAYED)
    if now.latest_us >= command.expires_time_us:
        return Refuse(expired=True, reason="")
    reason = refuses(machine, command.name, command.parameters)
    if reason == ASLEEP and command.wake:
        return Wake()
    return Execute() if reason == ACCEPTED else Refuse(expired=False, reason=reason)
