"""What the API answers when it refuses: status, Tesla's short texts, and nothing internal.

Source: `docs/protocols/commands.md` and the protocol page of the Fleet API, §1.5. Clients match on
some of these texts to the letter; those are constants here.
"""

from collections.abc import Mapping
from typing import Final

OFFLINE: Final = "vehicle unavailable: vehicle is offline or asleep"
"""408. Go clients take a body with "vehicle is offline" for a sleeping car."""

TOKEN_EXPIRED: Final = "token expired (401)"


class ApiError(Exception):
    """A refusal, as the caller will see it."""

    def __init__(
        self,
        status: int,
        error: str,
        description: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        messages: Mapping[str, list[str]] | None = None,
        command_id: str = "",
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error  # "": the body is empty
        self.description = description
        self.headers = dict(headers or {})
        self.messages = messages
        self.command_id = command_id


def unauthorized(error: str = "") -> ApiError:
    """401. Home Assistant signs in anew on it; without a text the body is empty, as Tesla's."""
    return ApiError(401, error, headers={"WWW-Authenticate": "Bearer"})


def missing_scopes(scopes: tuple[str, ...]) -> ApiError:
    """403: any one of `scopes` would have done."""
    return ApiError(403, f"Unauthorized missing scopes {' or '.join(scopes)}")


def wrong_token(description: str) -> ApiError:
    """403: a good token of the wrong kind."""
    return ApiError(403, "Unauthorized token type", description)


def not_found(what: str) -> ApiError:
    """404; the same for what is not there and for what is not the caller's."""
    return ApiError(404, "not_found", what)


def offline(description: str = "", command_id: str = "") -> ApiError:
    """408: the vehicle is not there to answer."""
    return ApiError(408, OFFLINE, description, command_id=command_id)


def retry_later(retry_s: int, description: str) -> ApiError:
    """429, with the headers that clients read."""
    headers = {
        "Retry-After": str(retry_s),
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(retry_s),
    }
    return ApiError(429, f"Retry in {retry_s} seconds", description, headers=headers)
