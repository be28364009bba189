"""What the API may ask about the platform's health: a port, filled by the composition root."""

from typing import NamedTuple, Protocol


class Health(NamedTuple):
    """Whether something holds, and for each thing that was looked at, why not; "" is well."""

    ok: bool
    checks: dict[str, str]


class Inside(Protocol):
    """Looks at every process anew whenever it is asked."""

    async def live(self) -> Health:
        """Whether this process works: if not, it should be started again."""

    async def ready(self) -> Health:
        """Whether the platform takes records and commands, and answers from fresh state."""

    async def metrics(self) -> bytes:
        """The figures of all processes in Prometheus' text format."""
