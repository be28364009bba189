"""What a command asks: of the car's body, or of its program (signed messages, keys). No clock."""

from collections.abc import Callable
from typing import Any

from motorcade.vehicle.actions import ACCEPTED, Parameters
from motorcade.vehicle.commands import Refusal
from motorcade.vehicle.program import Ended, Moment, Program

Apply = Callable[[Any, str, Parameters], None]


class Duties:
    """One machine's."""

    def __init__(
        self, machine: Any, refuses: Refusal, apply: Apply, program: Program | None
    ) -> None:
        self.machine, self._refuses, self._apply = machine, refuses, apply
        self._program = program

    def refusal(self, machine: Any, name: str, parameters: Parameters) -> str:
        """Why a command is not carried out now; the program's own, and what it lets pass."""
        program = self._program
        if program is not None:
            if program.knows(name):
                return ACCEPTED
            reason = program.refuses(name)
            if reason:
                return reason
        return self._refuses(machine, name, parameters)

    def run(self, name: str, parameters: Parameters, now: Moment) -> Ended:
        """Carry it out: `refusal` was empty. Raises `OSError`."""
        if self._program is not None and self._program.knows(name):
            return self._program.run(name, parameters, now)
        self._apply(self.machine, name, parameters)
        return Ended()
