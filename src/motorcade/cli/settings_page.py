"""The page `docs/operating/configuration.md`, drawn from the source of `config.py`.

A setting's line holds its name, type, default and, as a comment, what happens at the limit; one too
long for its line has the comment above it. Values are computed, so `64 << 20` is shown as 64 MiB.
"""

import ast
import dataclasses
import inspect
import io
import tokenize
from typing import Final, NamedTuple

from motorcade import config
from motorcade.config import Config

HEAD: Final = """# Configuration

Drawn from `src/motorcade/config.py` by `make pages`; a test fails when this page is stale.

Every limit, timeout and retention of the platform. `motorcade up --set group.name=value` overrides
one, as often as needed, e.g. `--set log.retention_bulk_bytes=10737418240`. The last word of a name,
`_max` and `_min` apart, is its unit: `_s` seconds, `_ms` milliseconds, `_bytes` bytes; names
without one count things. A setting that does not exist, or a value that does not fit, is refused at
the start.
"""
UNITS: Final = {"s": "s", "ms": "ms", "bytes": "B"}


class Setting(NamedTuple):
    """A line of the page."""

    name: str
    unit: str
    default: object
    comment: str


def page() -> str:
    """The whole page."""
    sections = [HEAD]
    for group in dataclasses.fields(Config):
        made = getattr(Config(), group.name)
        sections.append(f"\n## {group.name}\n\n| setting | default | unit | |\n|---|---|---|---|\n")
        sections += [_line(group.name, each) for each in settings(type(made))]
    return "".join(sections)


def settings(group: type) -> list[Setting]:
    """The settings of one dataclass of `config.py`, in its order."""
    source = inspect.getsource(config)
    comments = _comments(source)
    declared = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == group.__name__
    )
    defaults = {field.name: field.default for field in dataclasses.fields(group)}
    found = []
    previous_end = declared.lineno
    for node in declared.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert node.end_lineno is not None  # `ast.parse` sets it
            lines = range(previous_end + 1, node.end_lineno + 1)
            words = " ".join(comments[line] for line in lines if line in comments)
            name = node.target.id
            found.append(Setting(name, unit_of(name), defaults[name], words))
        previous_end = node.end_lineno or previous_end
    return found


def unit_of(name: str) -> str:
    """The unit that a setting's name ends in, "" where it counts."""
    words = [word for word in name.split("_") if word not in ("max", "min")]
    if "per" in words:
        words = words[: words.index("per")]
    return UNITS.get(words[-1], "")


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _line(group: str, setting: Setting) -> str:
    default = _shown(setting.default, setting.unit)
    comment = setting.comment.replace("|", "\\|")
    return f"| `{group}.{setting.name}` | {default} | {setting.unit} | {comment} |\n"


def _shown(value: object, unit: str) -> str:
    if isinstance(value, str):
        return f"`{value}`" if value else "none"
    if unit == "B" and isinstance(value, int):
        for power, word in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value >= 1 << power and value % (1 << power) == 0:
                return f"{value} ({value >> power} {word})"
    return f"{value}"
