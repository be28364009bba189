"""Reads what apps and browsers send to the OAuth endpoints. No IO."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

FIELDS_MAX: Final = 100
FIELD_CHARACTERS_MAX: Final = 8_192  # an access token is as long

Pairs = Sequence[tuple[str, str]]
"""Names and values, in the order sent; a name may stand there twice."""


class FormError(ValueError):
    """The peer's: cannot be read; the text says why, in characters RFC 6749 §5.2 allows."""


def read_form(body: bytes, content_type: str) -> Pairs:
    """The fields of a body: form-encoded, or one JSON object of texts, which Tesla takes as well.

    Raises `FormError`.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return bounded(_from_json(body))
    if kind != "application/x-www-form-urlencoded" and body:
        raise FormError("Content-Type must be application/x-www-form-urlencoded")
    return read_query(body)


def read_query(query: bytes) -> Pairs:
    """The fields of a query string or a form. Raises `FormError`."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        raise FormError(f"not form-encoded UTF-8, or more than {FIELDS_MAX} fields") from error
    return bounded(pairs)


def _from_json(body: bytes) -> Pairs:
    try:
        members = msgspec.json.decode(body, type=dict[str, str | bool | int | float | None])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise FormError("the body is not a JSON object of texts") from error
    return [(name, str(value)) for name, value in members.items() if value is not None]


def bounded(pairs: Pairs) -> Pairs:
    """Raises `FormError` for a field that is too long."""
    for name, value in pairs:
        if len(name) > FIELD_CHARACTERS_MAX or len(value) > FIELD_CHARACTERS_MAX:
            raise FormError(f"a field has more than {FIELD_CHARACTERS_MAX} characters")
    return pairs


def once(pairs: Pairs) -> dict[str, str]:
    """Names to values; RFC 6749 §3.2 allows each name once. Raises `FormError`."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise FormError("a parameter stands there twice")
    return fields
