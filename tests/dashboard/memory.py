"""What the page holds in memory while a fleet moves: frames as fast as it takes them, and looks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, CDPSession

from tests.dashboard.browser import Window, window
from tests.dashboard.standin import Town

HOUR_FRAMES: Final = 7_200  # an hour at 2 Hz
LOOKS: Final = 12
FRAMES_AHEAD: Final = 8  # so many may be on their way: 18 MB of 100,000 cars
PLAYED: Final = 12  # different frames, in turn
HEAD_BYTES: Final = 24
WAIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the page holds after so many frames, its garbage collected."""

    frames: int
    heap_kib: float
    backing_kib: float
    nodes: int
    renderer_kib: float
    drawer_kib: float

    @property
    def held_kib(self) -> float:
        """By JavaScript and its typed arrays."""
        return self.heap_kib + self.backing_kib


def look(session: CDPSession, browser: CDPSession, frames: int) -> Look:
    """Collect the garbage, then count."""
    for _ in range(2):  # what the first pass lets go of may hold more
        session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    counters = session.send("Memory.getDOMCounters")
    resident = {"renderer": 0.0, "GPU": 0.0}
    for process in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] in resident:
            resident[process["type"]] += _resident_kib(process["id"])
    return Look(
        frames,
        usage["usedSize"] / 1024,
        usage.get("backingStorageSize", 0.0) / 1024,
        counters["nodes"],
        resident["renderer"],
        resident["GPU"],
    )


def _resident_kib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return float(text.partition("VmRSS:")[2].split()[0])


def play(browser: Browser, cars: int, frames: int, looks: int = LOOKS) -> list[Look]:
    """Show the page so many frames; a look before them and after each part of them."""
    town = Town(cars, all_moving=True, dense_over=cars)
    with window(browser, town) as seen:
        played = seen.served.standin.played
        for second in range(PLAYED):  # where they are, half a second apart
            at_us = town.now_us() + second * 500_000
            frame = town.frame(at_us, 0, {}, reset=False)
            played.append((cars, frame[HEAD_BYTES:]))
        seen.go("/")
        seen.until("window.motorcadeFleet?.cars.version > 1")
        session = seen.page.context.new_cdp_session(seen.page)
        session.send("HeapProfiler.enable")
        whole = browser.new_browser_cdp_session()
        taken = [look(session, whole, 0)]
        for part in range(1, looks + 1):
            _give(seen, frames * part // looks - taken[-1].frames)
            taken.append(look(session, whole, frames * part // looks))
        return taken


def _give(seen: Window, frames: int) -> None:
    """Let the page take so many frames more, `FRAMES_AHEAD` at a time."""
    given = 0
    while given < frames:
        more = min(FRAMES_AHEAD, frames - given)
        begun = int(seen.page.evaluate("motorcadeFleet.cars.version"))  # counts frames
        seen.served.hurry(more)
        given += more
        seen.until(f"motorcadeFleet.cars.version >= {begun + more}", WAIT_S)


def slope(looks: list[Look], value: Any) -> float:
    """By how much it grows per hour of frames; of all but the first quarter, which warms up."""
    later = looks[len(looks) // 4 :]
    frames = np.array([one.frames for one in later], float)
    values = np.array([value(one) for one in later], float)
    return float(np.polyfit(frames, values, 1)[0]) * HOUR_FRAMES
