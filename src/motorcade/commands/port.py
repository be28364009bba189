"""What the router offers the API: take a command, tell how it stands, tell of changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from motorcade.commands.states import FINAL, State
from motorcade.events import VehicleToken


@dataclass(frozen=True, slots=True)
class Request:
    """What an account asks for; already checked against the table, its scopes and its vehicles."""

    vehicle: VehicleToken
    name: str
    parameters: dict[str, Any]
    account: str
    idempotency_key: str = ""  # "": the router makes one
    expires_s: int = 30
    wake: bool = False  # a sleeping car is woken first; all within the one expiry


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a timeline."""

    state: State
    time_us: int
    reason: str = ""
    response: str = ""  # of a signed command: the car's answer, base64


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command as it stands in the log."""

    id: str
    vehicle: VehicleToken
    name: str
    parameters: dict[str, Any]
    account: str
    idempotency_key: str
    expires_time_us: int
    timeline: tuple[Step, ...]  # the first is `requested`

    @property
    def state(self) -> State:
        return self.timeline[-1].state

    @property
    def reason(self) -> str:
        return self.timeline[-1].reason

    @property
    def response(self) -> str:
        """The car's own answer to a signed command, base64; "" if there is none."""
        return self.timeline[-1].response

    @property
    def final(self) -> bool:
        return self.state in FINAL


Watcher = Callable[[CommandView], None]


class Commands(Protocol):
    """The router, as its callers see it. One event loop; nothing here blocks it for long."""

    async def submit(self, request: Request) -> CommandView:
        """Take a command, or find it by its key; answer when it is durable.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
            TooManyCommandsError: the vehicle's limit.
            RouterBusyError: the router's limits, or the log cannot take more.
        """

    async def settle(self, command_id: str, timeout_s: float) -> CommandView:
        """Wait until the command is final, at most `timeout_s`; then return it as it stands."""

    def find(self, command_id: str) -> CommandView | None:
        """A command by id, with its timeline; `None` if unknown or older than the ledger."""

    def recent(self, vehicle: VehicleToken, limit: int) -> Sequence[CommandView]:
        """The vehicle's last commands, newest first."""

    def failed(self, after_us: int, limit: int) -> Sequence[CommandView]:
        """Those requested since, that were refused or expired and not made good: by no later one of
        the same name and vehicle that was executed. The newest first.

        For any one thread at a time; it may be the ledger's half second behind.
        """

    def watch(self, vehicle: VehicleToken, watcher: Watcher) -> None:
        """Call `watcher` on the loop after each durable transition of the vehicle's commands."""

    def unwatch(self, vehicle: VehicleToken, watcher: Watcher) -> None:
        """Stop it."""
