"""Which names and filters an operator's account may have. No IO."""

import re
from collections.abc import Sequence
from typing import Final

from motorcade.registry.errors import InvalidNameError

_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_FILTER_BYTES_MAX: Final = 1_024  # as long as a topic may be, see config.mqtt.topic_bytes_max


def check_name(name: str) -> str:
    """Return `name` if it can be a user name. Raises `InvalidNameError`."""
    if not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"operator name {name!r}: use 1 to 64 of letters, digits and . _ @ - (no spaces)"
        )
    return name


def check_filters(filters: Sequence[str], *, filters_max: int) -> list[str]:
    """Return the filters, each once, if MQTT allows them (MQTT 5.0 §4.7). Raises as above."""
    if len(filters) > filters_max:
        raise InvalidNameError(f"{len(filters)} denied filters, at most {filters_max} are kept")
    return [_check_filter(text) for text in dict.fromkeys(filters)]


def _check_filter(text: str) -> str:
    levels = text.split("/")
    if not text or "\0" in text or len(text.encode()) > _FILTER_BYTES_MAX:
        raise InvalidNameError(
            f"filter {text[:80]!r}: must have 1 to {_FILTER_BYTES_MAX} bytes and no NUL"
        )
    if "#" in text and (text.index("#") != len(text) - 1 or levels[-1] != "#"):
        raise InvalidNameError(f"filter {text!r}: # stands alone in the last level, as in v/+/#")
    if any("+" in level and level != "+" for level in levels):
        raise InvalidNameError(f"filter {text!r}: + fills a whole level, as in v/+/telemetry")
    return text
