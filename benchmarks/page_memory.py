"""What an hour of a moving fleet leaves in the page's memory.

Claim: flat. The page gets as many frames as an hour at 2 Hz has, in each of which every car has
moved, one after the other as fast as it takes them: the stand-in writes the next when the socket
has room, and every so many frames waits until the page has read the last. Then the garbage is
collected and counted: what JavaScript holds, what typed arrays hold (`backing`: cars, frames under
way), the page's nodes, and the resident memory of the renderer and of the process that draws.
Printed for each twelfth, and the slope of its later three quarters: what an hour adds.
`python -m benchmarks.page_memory [--cars N] [--frames N]`.
"""

import argparse
import time

from benchmarks.machine import MachineTimes, describe
from tests.dashboard.browser import browsers
from tests.dashboard.memory import HOUR_FRAMES, play, slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=100_000)
    parser.add_argument("--frames", type=int, default=HOUR_FRAMES)
    asked = parser.parse_args()
    print(describe())
    begun, begun_s = MachineTimes.read(), time.monotonic()
    with browsers() as browser:
        looks = play(browser, asked.cars, asked.frames)
    took_s = time.monotonic() - begun_s
    print(f"{asked.cars} cars, {asked.frames} frames in {took_s:.0f} s; ", end="")
    print(MachineTimes.read().since(begun, 0.0))
    print("frames  heap KiB  arrays KiB  nodes  renderer MiB  drawer MiB")
    for one in looks:
        print(
            f"{one.frames:6}  {one.heap_kib:8.0f}  {one.backing_kib:10.0f}  {one.nodes:5}  "
            f"{one.renderer_kib / 1024:12.1f}  {one.drawer_kib / 1024:10.1f}"
        )
    print(
        f"slope per hour: heap {slope(looks, lambda one: one.heap_kib):+.0f} KiB, "
        f"arrays {slope(looks, lambda one: one.backing_kib):+.0f} KiB, "
        f"renderer {slope(looks, lambda one: one.renderer_kib) / 1024:+.1f} MiB, "
        f"drawer {slope(looks, lambda one: one.drawer_kib) / 1024:+.1f} MiB"
    )


if __name__ == "__main__":
    main()
