"""The composition root: settings in, a running process out.

The supervisor starts it once per role, and tells it as JSON what to be. A role (`roles/`, a module
for each) opens its lanes of the log, then its doors or counters, in the order of the road; says
"ready"; and drains when told to stop or when the supervisor is gone. A process loads its own alone.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog
import uvloop

from motorcade import logs
from motorcade.clock import SystemClock
from motorcade.config import Config, ConfigError
from motorcade.log.embedded import EmbeddedLog
from motorcade.roles.base import Base, Parts, Role
from motorcade.supervisor import ChildLink, StopEvents

READER: Final = "reader"

_log = structlog.get_logger()


def _gateway() -> Role:
    from motorcade.roles import gateway

    return gateway.run


def _api() -> Role:
    from motorcade.roles import api

    return api.run


Loaders = Mapping[str, Callable[[], Role]]
ROLES: Final[Loaders] = {"gateway": _gateway, "api": _api}
"""Those that deal with people and vehicles; each loads what it runs when it is called."""


async def _run(link: ChildLink, roles: Loaders) -> None:
    ends = StopEvents()
    config = Config().with_overrides(list(link.options["settings"]))
    data = Path(link.options["data"])
    clock = SystemClock()
    log = EmbeddedLog(data / "log", config.log, clock)
    try:
        base = Base(link, config, data, clock, log)
        role = link.options["role"]
        if role == READER:
            from motorcade.roles import reader

            await reader.run(base, ends)
        else:
            await _run_with_registry(base, ends, roles[role])
    finally:
        log.close()


async def _run_with_registry(base: Base, ends: StopEvents, load: Callable[[], Role]) -> None:
    from motorcade.identity.authority import open_authority
    from motorcade.registry.embedded import EmbeddedRegistry

    link, config, clock = base.link, base.config, base.clock
    authority = open_authority(base.data, link.options["listen"], config=config.identity)
    registry = EmbeddedRegistry(
        base.data / "registry.sqlite",
        account_key=authority.account_key,
        clock=clock,
        config=config.registry,
    )
    try:
        run = load()
        await run(Parts(link, config, base.data, clock, base.log, authority, registry), ends)
    finally:
        registry.close()


def main(roles: Loaders = ROLES) -> None:
    """Run the role that the supervisor's argument names; exit 0 after a drain."""
    link = ChildLink.from_argument(sys.argv[1])
    link.end_with_supervisor()
    logs.configure(link.options["log_file"], link.options["role"], link.options["log_level"])
    os.umask(0o077)
    try:
        uvloop.run(_run(link, roles))
    except ConfigError as error:  # what it says is all there is to know
        _log.error("setting_refused", error=str(error))
        sys.exit(1)
    except Exception:
        _log.exception("process_failed")
        sys.exit(1)


if __name__ == "__main__":
    main()
