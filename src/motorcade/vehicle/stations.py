"""The road of one command through the car, for whoever traces it."""

from collections.abc import Callable
from dataclasses import dataclass

from motorcade.wire.command.messages import Command


@dataclass(slots=True)
class Stations:
    """When a command met each station, in microseconds by the car's own clock; 0: it did not."""

    command: Command
    received_us: int
    verified_us: int  # authentic, and for this car
    judged_us: int = 0  # later where the time had to be asked for
    journaled_us: int = 0  # on disk: that it is started, or refused
    executed_us: int = 0
    answered_us: int = 0  # the answer goes to the outbox
    state: str = ""  # the answer's
    reason: str = ""


Traced = Callable[[Stations], None]
"""Told of each command that is judged, once it is answered; not of what the journal repeats."""
