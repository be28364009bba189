"""The states of a command and what may follow what: a table, no code that decides.

Design P5. `expired` is final only when the command never reached a session, or when the car itself
says that it did not and will not execute it. Handed over and unanswered is `outcome_unknown`, which
is not final: the car's journal answers, whenever it is back.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a command stands. The words are stored and shown to clients."""

    REQUESTED = "requested"  # durable, on its way
    HANDED_OVER = "handed_over"  # the gateway gave it to a session of the vehicle
    EXECUTED = "executed"
    REFUSED = "refused"
    EXPIRED = "expired"  # never executed, and never will be
    OUTCOME_UNKNOWN = "outcome_unknown"


class Event(StrEnum):
    """What can happen to a command after it was requested."""

    HANDED = "handed"  # gateway: about to be written to a session
    UNDELIVERED = "undelivered"  # gateway: expired, certainly never handed over
    DELIVERY_UNKNOWN = "delivery_unknown"  # gateway: expired, an earlier process may have
    OVERDUE = "overdue"  # the router's clock: expired, and the grace for news is over
    CAR_EXECUTED = "car_executed"
    CAR_REFUSED = "car_refused"
    CAR_EXPIRED = "car_expired"  # car: came too late, by authenticated server time
    CAR_NEVER = "car_never"  # journal: never had it, and a tombstone keeps it out
    CAR_INTERRUPTED = "car_interrupted"  # journal: begun, then power was lost; nobody knows


FINAL: Final = frozenset({State.EXECUTED, State.REFUSED, State.EXPIRED})

_OUTCOMES: Final = {
    Event.CAR_EXECUTED: State.EXECUTED,
    Event.CAR_REFUSED: State.REFUSED,
    Event.CAR_EXPIRED: State.EXPIRED,
    Event.CAR_NEVER: State.EXPIRED,
}

TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.REQUESTED: {
        Event.HANDED: State.HANDED_OVER,
        Event.UNDELIVERED: State.EXPIRED,
        Event.DELIVERY_UNKNOWN: State.OUTCOME_UNKNOWN,
        Event.OVERDUE: State.OUTCOME_UNKNOWN,  # the gateway may be down with news in its log
        Event.CAR_INTERRUPTED: State.OUTCOME_UNKNOWN,
        **_OUTCOMES,  # the notice may be lost with the process that wrote it, unsynced
    },
    State.HANDED_OVER: {
        Event.OVERDUE: State.OUTCOME_UNKNOWN,
        Event.CAR_INTERRUPTED: State.OUTCOME_UNKNOWN,
        **_OUTCOMES,
    },
    State.OUTCOME_UNKNOWN: {
        Event.UNDELIVERED: State.EXPIRED,  # ignored once it was seen handed over
        **_OUTCOMES,
    },
    State.EXECUTED: {},
    State.REFUSED: {},
    State.EXPIRED: {},
}
"""What is not here does not happen: repeats and late news leave a command as it is."""

REASONS: Final[dict[Event, str]] = {
    Event.UNDELIVERED: "vehicle_offline",
    Event.DELIVERY_UNKNOWN: "delivery_unknown",
    Event.OVERDUE: "no_answer",
    Event.CAR_EXPIRED: "expired_in_vehicle",
    Event.CAR_NEVER: "never_received",
    Event.CAR_INTERRUPTED: "interrupted",
}
"""The short reason of a transition when the car gives none."""
