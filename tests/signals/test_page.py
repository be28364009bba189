"""The page about signals says what the table says."""

from pathlib import Path

from motorcade.signals.page import page

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "signals.md"


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text() == page(), (
        "python -m motorcade.signals.page > docs/protocols/signals.md"
    )
