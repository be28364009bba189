"""Seconds from `motorcade up` until it serves: after a clean drain, and on an empty directory.

Claim (docs/operating/faults.md, "Drain"): the next start serves within 2 s. Fills a log, lets the
platform catch up, and then drains and starts it again and again; beside each start after a drain
one on an empty directory, which has no keys, no registry and no log yet. Printed, counted from the
start of the command: until the ready file is there, until a publish is acknowledged (MQTT, QoS 1),
until `/health/ready` says ok, with the CPU seconds of each process and what else the machine did.
`python -m benchmarks.start [--rounds N] [--records N]`.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import MachineTimes, cpu_of, describe, name_of, tree
from benchmarks.recovery import Prober, fill
from tests.http_link import until_healthy
from tests.platform_process import Platform, add_vehicles

VEHICLES = 100
LIMIT_S = 2.0


def start(name: str, platform: Platform, vehicle: dict[str, object] | None) -> float:
    """Start, ask for service, drain; return the seconds until all was served."""
    machine, began_s = MachineTimes.read(), time.monotonic()
    since = {}
    platform.start()
    try:
        since["ready file"] = time.monotonic() - began_s
        if vehicle is not None:
            Prober(platform.ready, vehicle).publish()
            since["MQTT acks"] = time.monotonic() - began_s
        asyncio.run(until_healthy(platform.ready))
        since["healthy"] = time.monotonic() - began_s
        cpu = {name_of(pid): used / 1e6 for pid, used in cpu_of(tree(platform.pid)).items()}
        during = MachineTimes.read().since(machine, sum(cpu.values()) * 1e6)
    finally:
        code = platform.stop()
    assert code == 0, f"the drain ended with {code}: {platform.log()}"
    print(
        f"  {name:13s} "
        + ", ".join(f"{what} {s:.2f}" for what, s in since.items())
        + " s; CPU s "
        + ", ".join(f"{process} {s:.2f}" for process, s in cpu.items())
        + f"; {during}",
        flush=True,
    )
    return since["healthy"]


def run(directory: Path, rounds: int, records: int) -> tuple[list[float], list[float]]:
    """Everything, in `directory`; (after a drain, on an empty directory), seconds."""
    data = directory / "data"
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(VEHICLES)]
    files = add_vehicles(data, vins, directory / "vehicles")
    fill(data / "log", [vehicle["token"] for vehicle in files.values()], records)
    platform, vehicle = Platform(data), next(iter(files.values()))
    start("first", platform, vehicle)
    drained, empty = [], []
    for number in range(rounds):
        drained.append(start("after a drain", platform, vehicle))
        (directory / f"empty-{number}").mkdir()
        empty.append(start("empty", Platform(directory / f"empty-{number}" / "data"), None))
    return drained, empty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="start-") as name:
        drained, empty = run(Path(name), options.rounds, options.records)
    for what, times in (("after a drain", drained), ("empty", empty)):
        print(f"{what}: median {statistics.median(times):.2f} s, {min(times):.2f}-{max(times):.2f}")
    print(f"limit for the median after a drain: {LIMIT_S:.0f} s")
    sys.exit(0 if statistics.median(drained) <= LIMIT_S else 1)


if __name__ == "__main__":
    main()
