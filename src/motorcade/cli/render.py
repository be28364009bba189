"""How commands look: the frame of every `typer` app, JSON and tables out, errors."""

import json
import sys
from typing import Any

import typer


class CommandError(Exception):
    """A command cannot do what it was told; the text says why and what to do."""


def new_app(summary: str = "", example: str = "") -> typer.Typer:
    """A `typer` app as every command module has one; a group of commands gives both texts.

    Tracebacks stay plain: the pretty ones print local variables, and ours hold secrets.
    """
    return typer.Typer(
        help=summary or None,
        epilog=f"Example: {example}" if example else None,
        add_completion=False,
        no_args_is_help=bool(summary),
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def print_json(value: Any) -> None:
    """One JSON document on standard output: for programs."""
    print(json.dumps(value, indent=2))


def print_json_line(value: Any) -> None:
    """One JSON document on one line, at once: for programs that read along."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def print_table(headings: list[str], rows: list[list[str]]) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:  # as they are: names are others' words, and may look like markup
        table.add_row(*map(Text, row))
    Console(markup=False, emoji=False, highlight=False).print(table)
