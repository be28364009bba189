"""`make pictures`: the page's main views as small files for the documentation.

Cars, seed and clock are fixed: taken twice, a picture shows the same.
"""

import sys
import time
from pathlib import Path

from tests.dashboard.browser import BEGIN_US, DESK, PHONE, Theme, browsers, window
from tests.dashboard.standin import Town

CARS = 12_480
QUALITY = 82
VIEWS: dict[str, tuple[str, Theme, tuple[int, int], int]] = {
    "live": ("/?map=13.1/49.409/8.682", "dark", DESK, CARS),
    "live-light": ("/?map=13.1/49.409/8.682", "light", DESK, CARS),
    "drawer": ("/vehicles/10204?state=moving&state=alarm", "dark", DESK, CARS),
    "replay": ("/?map=13.1/49.409/8.682&at=2026-11-26T08:10:00Z", "dark", DESK, CARS),
    "work": ("/work/1", "dark", DESK, CARS),
    "cells": ("/", "dark", DESK, 100_000),
    "empty": ("/", "dark", DESK, 0),
    "phone": ("/vehicles/10204", "light", PHONE, CARS),
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with browsers() as browser:
        for name, (path, theme, size, cars) in VIEWS.items():
            begun = time.monotonic()

            def now_us(begun: float = begun) -> int:
                return BEGIN_US + int((time.monotonic() - begun) * 1e6)

            with window(browser, Town(cars, now_us=now_us), theme=theme, size=size) as seen:
                page = seen.go(path)
                if path.startswith(("/?", "/v")) or (path == "/" and cars):
                    seen.cars()
                page.wait_for_timeout(3_000)
                if name == "drawer":
                    page.get_by_role("button", name="Battery, hottest cell").click()
                    page.get_by_role("heading", name="HD-204").hover()
                    page.wait_for_timeout(1_000)
                target = folder / f"{name}.jpg"
                page.screenshot(path=target, type="jpeg", quality=QUALITY)
                print(target, target.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
