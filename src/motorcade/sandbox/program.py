"""The platform's processes as the sandbox runs them: as ever, with worlds before the API."""

from typing import Any

from motorcade import app
from motorcade.roles.base import Parts, Role
from motorcade.sandbox.making import Wanted
from motorcade.sandbox.routes import extras
from motorcade.sandbox.worlds import Worlds
from motorcade.supervisor import StopEvents


class SandboxFront:
    """The API's `Front`: the default world before the process is ready, spare ones afterwards."""

    def __init__(self, parts: Parts, counter: Any) -> None:
        told = parts.link.options["sandbox"]
        redirect_uris = tuple(told["redirect_uris"])
        self._worlds = Worlds(counter, parts.authority, parts.data, redirect_uris)
        self._wanted = Wanted(tuple(told["doings"]), told["seed"], told["speed"])
        self.extras = extras(self._worlds, counter)

    async def start(self) -> None:
        """The default world is there when this returns."""
        await self._worlds.open_default(self._wanted)
        self._worlds.start()

    async def stop(self) -> None:
        """Make no more worlds."""
        await self._worlds.stop()


async def run_api(parts: Parts, ends: StopEvents) -> None:
    """The API, and the sandbox's routes before it."""
    from motorcade.roles import api

    await api.run(parts, ends, SandboxFront)


def _api() -> Role:
    return run_api


def main() -> None:
    """Run the role that the supervisor's argument names."""
    app.main({**app.ROLES, "api": _api})


if __name__ == "__main__":
    main()
