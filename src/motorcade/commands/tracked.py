"""A command under way, as the router keeps it in memory. No IO."""

from dataclasses import dataclass, field
from typing import Any

from motorcade.commands.port import CommandView, Step
from motorcade.commands.states import FINAL, State
from motorcade.events import VehicleToken


@dataclass(slots=True)
class Tracked:
    """What was decided of a command, and how much of it the log holds."""

    id: str
    vehicle: VehicleToken
    name: str
    parameters: dict[str, Any]
    account: str
    idempotency_key: str
    counter: int
    expires_time_us: int
    steps: list[Step] = field(default_factory=list)  # decided
    durable: int = 0  # how many of `steps` the log holds: all that may be told
    handed_over: bool = False  # ever, whatever the state says now
    deadline_us: int = -1  # when the router looks at it again by itself

    @property
    def state(self) -> State:
        """As decided; the log may not hold it yet."""
        return self.steps[-1].state

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def view(self) -> CommandView:
        """As it stands in the log. Only when `durable` is not 0."""
        return CommandView(
            self.id,
            self.vehicle,
            self.name,
            self.parameters,
            self.account,
            self.idempotency_key,
            self.expires_time_us,
            tuple(self.steps[: self.durable]),
        )

    @staticmethod
    def restored(view: CommandView, counter: int) -> "Tracked":
        """A command as the ledger has it, to go on with."""
        return Tracked(
            id=view.id,
            vehicle=view.vehicle,
            name=view.name,
            parameters=view.parameters,
            account=view.account,
            idempotency_key=view.idempotency_key,
            counter=counter,
            expires_time_us=view.expires_time_us,
            steps=list(view.timeline),
            durable=len(view.timeline),
            handed_over=any(step.state is State.HANDED_OVER for step in view.timeline),
        )
