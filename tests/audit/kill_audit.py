"""Kill processes at random under load, then compare what was acked with what is stored.

`make kill-audit KILLS=100` runs it long; the suite runs it short. Prints three
numbers that must be zero: acked and not stored, duplicates at read, order violations.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.audit.senders import MqttSender, Sender, TelemetrySender, number_of
from tests.platform_process import MOTORCADE, Platform, add_vehicles, stored

MQTT_VEHICLES = 4
TELEMETRY_VEHICLES = 3
SETTINGS = ("telemetry.rate_records_per_s=1000000", "telemetry.rate_records_burst=1000000")


@dataclass
class Findings:
    """What the audit saw."""

    kills: int = 0
    sent: int = 0
    acked: int = 0
    stored: int = 0
    reconnects: int = 0
    acked_not_stored: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)

    def text(self) -> str:
        return (
            f"{self.kills} kills, {self.sent} sent, {self.acked} acked, {self.stored} stored, "
            f"{self.reconnects} connections; acked and not stored {len(self.acked_not_stored)}, "
            f"duplicates at read {len(self.duplicates)}, "
            f"order violations {len(self.out_of_order)}"
        )

    def clean(self) -> bool:
        return not (self.acked_not_stored or self.duplicates or self.out_of_order)


def judge(findings: Findings, sender: Sender, numbers: Sequence[int]) -> None:
    """Compare one sender's ledger with what is stored of it, in stored order."""
    vin = sender.vehicle["vin"]
    seen: set[int] = set()
    last = -1
    for number in numbers:
        if number in seen:
            findings.duplicates.append(f"{vin} {number}")
        seen.add(number)
        if number < last:
            findings.out_of_order.append(f"{vin} {number} after {last}")
        last = max(last, number)
    findings.acked_not_stored += [f"{vin} {number}" for number in sorted(sender.acked - seen)]
    findings.sent += sender.sent
    findings.acked += len(sender.acked)
    findings.stored += len(numbers)
    findings.reconnects += sender.connections


def stored_numbers(data: Path, sender: Sender) -> list[int]:
    """The numbers of a sender as `motorcade export` gives them."""
    records: list[dict[str, Any]] = stored(data, sender.vehicle["vin"])
    positions = [record["sequence"] for record in records]
    assert positions == sorted(set(positions)), "export's sequence is not strictly increasing"
    if isinstance(sender, TelemetrySender):
        return [number_of(record) for record in records]
    return [record["sender_sequence"] for record in records]


async def storm(platform: Platform, senders: Sequence[Sender], kills: int, seed: int) -> None:
    """Load, and `kills` kills: mostly one process, now and then the supervisor, so all of them."""
    chance = random.Random(seed)
    runs = [asyncio.create_task(sender.run()) for sender in senders]
    for number in range(kills):
        before = [len(sender.acked) for sender in senders]
        deadline = asyncio.get_running_loop().time() + 60
        while any(len(s.acked) <= b for s, b in zip(senders, before, strict=True)):
            assert asyncio.get_running_loop().time() < deadline, f"no acks: {platform.log()}"
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.random() * 0.5)
        if number % 7 == 6:
            await asyncio.to_thread(platform.kill_all)
            await asyncio.to_thread(platform.start)
            for sender in senders:
                sender.aim(platform.ready)
        else:
            while not (alive := platform.children()):  # both were killed a moment ago
                await asyncio.sleep(0.01)
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(alive), signal.SIGKILL)
    for sender in senders:
        sender.stop_sending()
    await asyncio.wait_for(asyncio.gather(*runs), 120)


def audit(
    directory: Path, kills: int, seed: int, command: Sequence[str] = (MOTORCADE,)
) -> Findings:
    """Run a platform in `directory` through a storm and judge it."""
    data = directory / "data"
    count = MQTT_VEHICLES + TELEMETRY_VEHICLES
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(count)]
    files = add_vehicles(data, vins, directory / "vehicles")
    platform = Platform(data, SETTINGS, command)
    platform.start()
    findings = Findings(kills)
    try:
        senders: list[Sender] = [MqttSender(files[vin]) for vin in vins[:MQTT_VEHICLES]]
        senders += [TelemetrySender(files[vin]) for vin in vins[MQTT_VEHICLES:]]
        for sender in senders:
            sender.aim(platform.ready)
        asyncio.run(storm(platform, senders, kills, seed))
    finally:
        platform.stop()
    for sender in senders:
        judge(findings, sender, stored_numbers(data, sender))
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        findings = audit(Path(directory), options.kills, options.seed)
    print(findings.text())
    for line in [*findings.acked_not_stored, *findings.duplicates, *findings.out_of_order][:20]:
        print(" ", line)
    sys.exit(0 if findings.clean() else 1)


if __name__ == "__main__":
    main()
