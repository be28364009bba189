"""The page `docs/protocols/vehicle-commands.md`, drawn from the table of commands. No IO."""

import math
from typing import Final

from motorcade.commands.parameters import Kind, Parameter
from motorcade.commands.table import AREAS, CHARGING_SCOPES, CommandRow

HEAD: Final = """# The commands a vehicle knows

Drawn from `src/motorcade/commands/table.py`; `make pages` draws it anew. Names and parameters are
Tesla's; a name with `?` may be left out, `a | b` are two names of one parameter. "REST" is for what
Tesla's signed protocol does not carry. What the car does, and why it may refuse, stands in
`src/motorcade/vehicle/actions/`; how a command travels, in `commands.md`.

PINs are hidden in timelines. After `vehicle.pin_tries_max` (5) wrong ones in a row the car looks at
no PIN of that mode for `vehicle.pin_lock_s` (15 min) and answers `pin_locked`. Modes, PINs and
wrong tries outlast a restart; they lie in `journal/security` beside the car's `vehicle.json`.

`days_of_week` is a text like `Monday,Friday`, `Weekdays` or `All`, or the bits (Sunday is 1). Times
are minutes after midnight where the vehicle is, by the hour of its longitude. Managed charging:
Tesla documents no parameters, these are ours; without them management ends.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rows in AREAS.items():
        parts.append(f"\n## {title}\n\n| command | parameters | scope | |\n|---|---|---|---|\n")
        parts += [_line(row) for row in rows]
    return "".join(parts)


def _line(row: CommandRow) -> str:
    scope = "cmds or charging" if row.scopes == CHARGING_SCOPES else "cmds"
    shown = "; ".join(_parameter(parameter) for parameter in row.parameters)
    return f"| `{row.name}` | {shown} | {scope} | {'REST' if row.rest_only else ''} |\n"


def _parameter(parameter: Parameter) -> str:
    names = f"`{parameter.name}`"
    if parameter.alternative:
        names += f" \\| `{parameter.alternative}`"
    return f"{names}{'' if parameter.required else '?'} {_values(parameter)}"


def _values(parameter: Parameter) -> str:
    match parameter.kind:
        case Kind.WORD:
            return ", ".join(parameter.words)
        case Kind.INTEGER | Kind.NUMBER if not math.isinf(parameter.high):
            whole = parameter.kind is Kind.INTEGER
            return f"{parameter.low:.15g} to {parameter.high:.16g}{'' if whole else ', any number'}"
        case Kind.TEXT:
            return f"text of {parameter.characters_max} characters at most"
        case Kind.DAYS:
            return "days"
        case _:
            return str(parameter.kind.value)
