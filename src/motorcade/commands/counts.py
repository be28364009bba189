"""What the router counts: each is an event of one command, far from the hot road."""

from dataclasses import dataclass, field

from motorcade.commands.errors import (
    CommandError,
    IdempotencyMismatchError,
    RouterBusyError,
    TooManyCommandsError,
)
from motorcade.commands.states import FINAL
from motorcade.commands.tracked import Tracked
from motorcade.counts import DURATIONS_S, Histogram, Tally

_WORDS = {
    IdempotencyMismatchError: "idempotency_mismatch",
    TooManyCommandsError: "vehicle_limit",
    RouterBusyError: "router_busy",
}


@dataclass(slots=True)
class CommandCounts:
    """Since the start of the process."""

    transitions: Tally = field(default_factory=Tally)  # told ones, by state
    refused: Tally = field(default_factory=Tally)  # by reason
    duration_s: dict[str, Histogram] = field(  # requested to final, by final state
        default_factory=lambda: {str(state): Histogram(DURATIONS_S) for state in sorted(FINAL)}
    )

    def entered(self, tracked: Tracked, state: str) -> None:
        """A transition into `state` is told."""
        self.transitions.add(state)
        if tracked.settled:
            passed_us = tracked.steps[-1].time_us - tracked.steps[0].time_us
            self.duration_s[str(tracked.state)].observe(passed_us / 1e6)

    def refuse(self, error: CommandError) -> None:
        """A request was not taken."""
        self.refused.add(_WORDS.get(type(error), "invalid"))
