"""What the agent asks of the car's own program: commands that are not for the car's body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from motorcade.wire.command.messages import UpMessage


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: monotonic seconds, and the car's clock on the wall."""

    monotonic_s: float
    wall_us: int


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command."""

    reason: str = ""  # why it was refused; empty: it was carried out
    response: str = ""  # base64, for whoever asked
    acted: bool = True  # the car did something, so that a sample is worth its while
    reports: bool = False  # `report` says something new


class Program(Protocol):
    """The commands that the car's program does itself. The journal was written before."""

    def knows(self, name: str) -> bool:
        """Whether this is one of them."""

    def refuses(self, name: str) -> str:
        """Why a command of the car's body is not taken as it came; empty if it may be."""

    def run(self, name: str, parameters: Mapping[str, Any], now: Moment) -> Ended:
        """Do one of them. Raises `OSError` when its effect cannot be stored."""

    def report(self) -> UpMessage:
        """What the cloud is told at each connect, and after a change."""
