"""A command under way, as the router keeps it in memory. No IO."""

from dataclasses import dataclass, field
from typing import Any

from motorcade.commands.port import CommandView, Step
from motorcade.commands.states import FINAL, State
from motorcade.events import VehicleToken


@dataclass(slots=True)
class Tracked:
    """What was decided of a command, and how much of it may be told."""

    id: str
    vehicle: VehicleToken
    name: str
    parameters: dict[str, Any]
    account: str
    idempotency_key: str
    counter: int
    expires_time_us: int
    steps: list[Step] = field(default_factory=list)  # decided
    told: int = 0  # how many of `steps` callers may know: see `Router.confirm`
    handed_over: bool = False  # ever, whatever the state says now
    deadline_us: int = -1  # when the router looks at it again by itself

    @property
    def state(self) -> State:
        """As decided; nobody may have been told yet."""
        return self.steps[-1].state

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def unsaid(self) -> Step | None:
        """The first step that callers may not know yet."""
        return self.steps[self.told] if self.told < len(self.steps) else None

    @property
    def settled(self) -> bool:
        """Final, and callers may know it."""
        return self.final and self.told == len(self.steps)

    def view(self) -> CommandView:
        """As callers may know it. Only when `told` is not 0."""
        return CommandView(
            self.id,
            self.vehicle,
            self.name,
            self.parameters,
            self.account,
            self.idempotency_key,
            self.expires_time_us,
            tuple(self.steps[: self.told]),
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
            told=len(view.timeline),
            handed_over=any(step.state is State.HANDED_OVER for step in view.timeline),
        )
