"""The page `docs/protocols/signals.md`, drawn from the table; the module prints it when run."""

from typing import Final

from motorcade.signals.signal import Signal
from motorcade.signals.table import COMPONENTS, OWN, SCHEDULES, TESLA_FIELDS

HEAD: Final = """# Signals

Drawn from `src/motorcade/signals/table.py`; print it anew with `python -m motorcade.signals.page`.

Values are stored in the unit shown (SI; temperatures in degC, ratios in %). JSON and packed samples
are sent in that unit; Tesla's values are multiplied by the scale. Typed and string forms of a value
decode to the same one; `invalid` means known to be unavailable. Enums are stored as numbers and
read by their short name. Field numbers that the table lacks are kept as `Field_<number>`, other
unknown names as they came; both get ids from 4,096 on, in the order of the log.

The packed form `application/vnd.motorcade.samples` is described in
`src/motorcade/signals/packed.py`; JSON signals are `{"time_us", "signals": {name: value}}` or an
array of such objects.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rows in (
        ("Tesla's Fields (the id is the Field's number)", TESLA_FIELDS),
        ("Components of compound Fields", COMPONENTS),
        ("Our own", OWN),
        ("Schedules of our vehicles", SCHEDULES),
    ):
        parts.append(f"\n## {title}\n\n")
        parts.append("| id | name | Tesla Field | kind | unit | scale | range | privacy | VSS |\n")
        parts.append("|---|---|---|---|---|---|---|---|---|\n")
        parts += [_line(row) for row in rows]
    return "".join(parts)


def _line(row: Signal) -> str:
    kind = row.enum.name if row.enum else row.kind.name.lower()
    field = f"{row.tesla_field}.{row.component}" if row.component else row.tesla_field
    limits = f"{row.low:g} to {row.high:g}" if row.high > row.low else ""
    scale = f"{row.scale:g}" if row.scale != 1 else ""
    cells = (row.id, row.name, field, kind, row.unit, scale, limits, row.privacy.value, row.vss)
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


if __name__ == "__main__":
    print(page(), end="")
