"""Where the built page lies: `index.html`, `assets/`, `basemap/`. Built from `web/` by the wheel's
hook, and not kept in the repository; `api/window/page.py` serves it."""

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "page"
