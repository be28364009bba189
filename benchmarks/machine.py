"""What the machine did while a benchmark ran: CPU per process, steal, other load."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OURS = "motorcade "  # what a process is called, and then its role


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found.extend(tree(int(child)))
    return found


def name_of(pid: int) -> str:
    """A short name of a process: its role if it is ours, else its program."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    if words[0].startswith(OURS):
        return words[0].removeprefix(OURS)
    return Path(words[0]).name if words[0] else str(pid)


def cpu_us(pid: int) -> float:
    """User and system time of all threads of a process so far, µs (resolution: one tick)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / TICKS_PER_S


def cpu_of(pids: Iterable[int]) -> dict[int, float]:
    return {pid: cpu_us(pid) for pid in pids}


@dataclass(frozen=True, slots=True)
class MachineTimes:
    """Shares of all cores' time since boot, in ticks."""

    busy: int
    idle: int
    steal: int

    @staticmethod
    def read() -> "MachineTimes":
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, idle, iowait, irq, soft, steal = (int(word) for word in words[:8])
        return MachineTimes(user + nice + system + irq + soft, idle + iowait, steal)

    def shares(self, before: "MachineTimes", measured_us: float) -> tuple[float, float, float]:
        """(busy, steal, other): shares of all cores; `other` is what nobody we measure used."""
        busy, steal = self.busy - before.busy, self.steal - before.steal
        total = max(1, busy + steal + self.idle - before.idle)
        other = max(0.0, busy - measured_us * TICKS_PER_S / 1e6)
        return busy / total, steal / total, other / total

    def since(self, before: "MachineTimes", measured_us: float) -> str:
        """The shares as text."""
        busy, steal, other = self.shares(before, measured_us)
        return f"busy {busy:.0%}, steal {steal:.1%}, other load {other:.1%}"

    def quiet(
        self, before: "MachineTimes", measured_us: float, steal_max: float, other_max: float
    ) -> bool:
        """Whether nobody disturbed the measurement by more than that."""
        _, steal, other = self.shares(before, measured_us)
        return steal <= steal_max and other <= other_max


def describe() -> str:
    """The machine, in one line."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    python = platform.python_version()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {python}"
