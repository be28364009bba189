"""The walk: every link in the order in which one stands on the other."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from motorcade.config import Config
from motorcade.doctor.directory import check_directory, check_disk, check_ledger, check_registry
from motorcade.doctor.finding import Check, Finding, Level, Scene, StopError
from motorcade.doctor.keys import check_chain, check_secrets
from motorcade.doctor.log import check_log
from motorcade.doctor.running import check_doors, check_processes, check_server
from motorcade.doctor.system import check_free_ports, check_limits
from motorcade.doctor.vehicle import check_vehicle

LINKS: Final[dict[str, Check]] = {
    "data directory": check_directory,
    "disk": check_disk,
    "registry": check_registry,
    "keys": check_secrets,
    "TLS chain": check_chain,
    "vehicle": check_vehicle,
    "limits": check_limits,
    "server": check_server,
    "processes": check_processes,
    "doors": check_doors,
    "free ports": check_free_ports,
    "log and clock": check_log,
    "command ledger": check_ledger,
}
"""A table: what is looked at, in this order."""


class Examined(NamedTuple):
    """A link, and what is wrong with it: nothing, where all is well."""

    link: str
    findings: list[Finding]
    reached: bool = True


def examine(scene: Scene) -> Iterator[Examined]:
    """Look at every link; one that could not be passed ends the walk."""
    stopped = False
    for name, check in LINKS.items():
        if stopped:
            yield Examined(name, [], reached=False)
            continue
        findings: list[Finding] = []
        try:
            findings.extend(check(scene))
        except StopError as stop:
            findings.append(stop.finding)
            stopped = True
        except PermissionError as error:
            what = f"no right to look: {error}"
            findings.append(Finding(Level.FAULT, what, "run as the user that runs the platform"))
        yield Examined(name, findings)


def scene_of(
    data: Path, config: Config, now_us: int, vehicle_file: Path | None, *, whole_log: bool
) -> Scene:
    """What there is to look at."""
    ready = _ready(data)
    pid = int(ready["pid"]) if ready is not None and _runs(int(ready["pid"])) else 0
    return Scene(data.absolute(), config, now_us, vehicle_file, whole_log, ready, pid)


def _ready(data: Path) -> dict[str, Any] | None:
    try:
        ready: dict[str, Any] = json.loads((data / "ready.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return ready if isinstance(ready.get("pid"), int) else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
