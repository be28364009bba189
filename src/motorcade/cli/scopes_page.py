"""The page `docs/protocols/scopes.md`, drawn from the table; `motorcade.cli.pages` writes it."""

from typing import Final

from motorcade.api.rights import FIELD_RIGHTS, RIGHTS, RPCS, FieldRight, Right, Token
from motorcade.commands.table import COMMANDS
from motorcade.identity.scopes import SCOPES

HEAD: Final = """# Scopes: who may call what, and see what

Drawn from `src/motorcade/api/rights.py` by `make pages`; a test fails when this page is stale, and
another calls every route with every scope. RPC: a method of gRPC ([grpc.md](grpc.md)).

A token that holds none of a route's scopes gets 403 `Unauthorized missing scopes ...`; where
several stand in a row, any one is enough. A partner token is one that an app got for itself (client
credentials); it owns no vehicle. Where a role is named, it is the least one, and held on the
platform's own page alone.
"""


def page() -> str:
    """The whole page."""
    return HEAD + _scopes() + _routes() + _members() + _commands()


def _scopes() -> str:
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in SCOPES.items())
    return f"\n## Scopes\n\n| scope | for |\n|---|---|\n{rows}"


def _routes() -> str:
    head = "\n## Routes\n\n| route | token | scopes, any of | |\n|---|---|---|---|\n"
    return head + "".join(map(_route, (*RIGHTS.values(), *RPCS)))


def _route(row: Right) -> str:
    scopes = _names(row.scopes) or ("any" if row.token in (Token.PERSON, Token.EITHER) else "")
    role = f"role `{row.role}`, or more" if row.role else ""
    note = "; ".join(text for text in (role, row.note) if text)
    return f"| {row.method} `{row.path}` | {row.token.value} | {scopes} | {note} |\n"


def _members() -> str:
    head = (
        "\n## Members of answers\n\nShown only to a token that holds one of these besides.\n\n"
        "| route | members | scopes, any of | without | |\n|---|---|---|---|---|\n"
    )
    return head + "".join(map(_member, FIELD_RIGHTS))


def _member(row: FieldRight) -> str:
    where = f"{row.method} `{row.path}`"
    return (
        f"| {where} | {_names(row.members)} | {_names(row.scopes)} | {row.without} | {row.note} |\n"
    )


def _commands() -> str:
    head = "\n## Commands\n\n| command | scopes, any of |\n|---|---|\n"
    rows = (f"| `{row.name}` | {_names(row.scopes)} |\n" for row in COMMANDS.values())
    return head + "".join(rows)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
