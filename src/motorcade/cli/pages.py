"""Writes the pages of `docs/` that are drawn from code: `python -m motorcade.cli.pages [DOCS]`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from motorcade.cli import scopes_page, settings_page
from motorcade.commands import page as commands_page
from motorcade.metrics import page as metrics_page
from motorcade.signals import page as signals_page
from motorcade.wire.rpc import proto

PAGES: Final[dict[str, Callable[[], str]]] = {
    "operating/configuration.md": settings_page.page,
    "operating/metrics.md": metrics_page.page,
    "protocols/motorcade.proto": proto.proto_text,
    "protocols/scopes.md": scopes_page.page,
    "protocols/signals.md": signals_page.page,
    "protocols/vehicle-commands.md": commands_page.page,
}


def main() -> None:
    """Write every page."""
    docs = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, page in PAGES.items():
        (docs / name).write_text(page())


if __name__ == "__main__":
    main()
