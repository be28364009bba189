"""Limits of the system, and the ports while nobody has them yet."""

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from motorcade.cli.platform import PORTS
from motorcade.doctor.finding import Finding, Scene, fault, warning
from motorcade.supervisor import LISTEN_BACKLOG

SPARE_FILES: Final = 200  # beside the connections: segments, databases, doorbells
BACKLOG_LEAST: Final = 4_096  # what Linux gives; only a fleet larger than that needs more


def check_limits(scene: Scene) -> Iterator[Finding]:
    """As many files may be open as connections are allowed."""
    allowed, whose = _open_files(scene)
    needed = scene.config.gateway.connections_max + SPARE_FILES
    if allowed < needed:
        yield fault(
            f"too few open files: {whose} may open {allowed}, gateway.connections_max of "
            f"{needed - SPARE_FILES} needs {needed}",
            f"ulimit -n {needed} before motorcade up (systemd: LimitNOFILE={needed}), or "
            f"motorcade up --set gateway.connections_max={max(allowed - SPARE_FILES, 1)}",
        )
    backlog = int(Path("/proc/sys/net/core/somaxconn").read_text())
    if backlog < BACKLOG_LEAST:
        yield warning(
            f"the system lets {backlog} connections wait: of a fleet that reconnects, those beyond "
            "come in late and out of turn",
            f"sysctl -w net.core.somaxconn={LISTEN_BACKLOG}",
        )


def _open_files(scene: Scene) -> tuple[int, str]:
    """Of the running supervisor, whose limit its processes have; else of this shell."""
    if scene.runs:
        try:
            return resource.prlimit(scene.pid, resource.RLIMIT_NOFILE)[0], f"process {scene.pid}"
        except (PermissionError, ProcessLookupError):
            pass
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0], "a process started from here"


def check_free_ports(scene: Scene) -> Iterator[Finding]:
    """When no server runs: the default ports are free."""
    if scene.runs:
        return
    for name, port in PORTS.items():
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                yield warning(
                    f"port {port} ({name}) cannot be had: {os.strerror(error.errno or 0)}",
                    f"find who has it: ss -ltnp 'sport = :{port}'; or motorcade up --ports auto",
                )
