"""The data directory, its disk and the databases in it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from motorcade.doctor.finding import Finding, Scene, StopError, fault, warning

REGISTRY_FILE: Final = "registry.sqlite"
LEDGER_FILE: Final = "commands/ledger.sqlite"
GIB: Final = 1 << 30


def check_directory(scene: Scene) -> Iterator[Finding]:
    """It is there, ours, and closed to others."""
    data = scene.data
    if not (data / REGISTRY_FILE).exists():
        raise StopError(
            fault(
                f"{data} is no data directory of a platform: it has no {REGISTRY_FILE}",
                "give the right one with --data or MOTORCADE_DATA, or make one: motorcade up "
                f"--data {data}",
            )
        )
    if data.stat().st_uid != os.geteuid():
        yield fault(
            f"{data} belongs to user {data.stat().st_uid}, you are {os.geteuid()}",
            f"run as that user, or: chown -R {os.geteuid()} {data}",
        )
    if data.stat().st_mode & 0o077:
        yield fault(f"others can look into {data}", f"chmod 700 {data}")


def check_disk(scene: Scene) -> Iterator[Finding]:
    """There is room for more segments."""
    disk = os.statvfs(scene.data)
    free = disk.f_bavail * disk.f_frsize
    needed = scene.config.health.disk_free_bytes_min
    mend = f"free space on the file system of {scene.data}, or keep less: motorcade up --set "
    mend += "log.retention_bulk_bytes=…"
    if free < needed:
        yield fault(
            f"the disk is nearly full: {free / GIB:.1f} GiB free, "
            f"health.disk_free_bytes_min is {needed / GIB:.1f} GiB",
            mend,
        )
        return
    log = scene.config.log
    kept = log.retention_bulk_bytes + log.retention_fast_bytes
    used = sum(path.stat().st_size for path in (scene.data / "log").glob("*/*.segment"))
    if free + used < kept:
        yield warning(
            f"the disk ends before retention begins: the log may grow to {kept / GIB:.0f} GiB, "
            f"{(free + used) / GIB:.0f} GiB are there for it",
            mend,
        )
    if disk.f_favail and disk.f_favail < 1_000:
        yield fault(f"the disk has {disk.f_favail} inodes left", "remove files that nobody needs")


def check_registry(scene: Scene) -> Iterator[Finding]:
    """The vehicles' database can be read, whole."""
    path = scene.data / REGISTRY_FILE
    why = _damage(path)
    if why:
        raise StopError(
            fault(
                f"the registry is damaged: {why}",
                f"stop the platform and restore {path} from a backup: motorcade restore --help",
            )
        )
    yield from ()


def check_ledger(scene: Scene) -> Iterator[Finding]:
    """The commands' index can be read; it is built anew from the log when it is not there."""
    path = scene.data / LEDGER_FILE
    if path.exists() and (why := _damage(path)):
        yield fault(
            f"the command ledger is damaged: {why}",
            f"stop the platform, rm {path}, start it: the log holds what was in it",
        )


def _damage(path: Path) -> str:
    """What SQLite says of a file, "" when it is sound. Read-only, so beside a running server."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else " ".join(said.split())
