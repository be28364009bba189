"""What the API answers when it refuses: status, Tesla's short texts, and nothing internal.

Source: `docs/protocols/commands.md` and the protocol page of the Fleet API, §1.5. Clients match on
some of these texts to the letter; those are constants here.
"""

from collections.abc import Mapping
from typing import Final

OFFLINE: Final = "vehicle unavailable: vehicle is offline or asleep"
"""408. Go clients take a body with "vehicle is offline" for a sleeping car."""

REGIONS_PAGE: Final = "https://developer.tesla.com/docs/fleet-api#regional-requirements"
REGISTER_PAGE: Final = "https://developer.tesla.com/docs/fleet-api#register"
"""What the texts of 421 and 412 end in: clients and people search for them whole."""

SIGNING_REQUIRED: Final = (
    "Tesla Vehicle Command Protocol required, please refer to the documentation here: "
    "https://developer.tesla.com/docs/fleet-api#2023-10-09-rest-api-vehicle-commands-endpoint-"
    "deprecation-warning"
)
"""403 of a plain command to a car that wants it signed. Clients match on the beginning."""

TOKEN_EXPIRED: Final = "token expired (401)"
LOGIN_REQUIRED: Final = "login_required"
"""401: whoever granted it has revoked it, or may not sign in any more. Clients sign in anew."""


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
        bare: bool = False,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error  # "": the body is empty
        self.description = description
        self.headers = dict(headers or {})
        self.messages = messages
        self.command_id = command_id
        self.bare = bare  # the body is `{"error": ...}` and nothing else


def unauthorized(error: str = "") -> ApiError:
    """401. Home Assistant signs in anew on it; without a text the body is empty, as Tesla's."""
    return ApiError(401, error, headers={"WWW-Authenticate": "Bearer"})


def wrong_role(needed: str) -> ApiError:
    """403: on the page a role is needed; another app than the page has none."""
    text = f"this needs the role {needed}, on the platform's own page: an admin gives it"
    return ApiError(403, "Unauthorized", text)


def missing_scopes(scopes: tuple[str, ...]) -> ApiError:
    """403: any one of `scopes` would have done."""
    return ApiError(403, f"Unauthorized missing scopes {' or '.join(scopes)}")


def not_shared() -> ApiError:
    """403: a shared link's token, where none opens."""
    text = "a shared link reads what it shows, and nothing else"
    return ApiError(403, "Unauthorized token type", text)


def wrong_token(error: str, description: str) -> ApiError:
    """403: a good token of the wrong kind."""
    return ApiError(403, error, description)


def not_found(what: str) -> ApiError:
    """404; the same for what is not there and for what is not the caller's."""
    return ApiError(404, "not_found", what)


def unprocessable(error: str, messages: Mapping[str, list[str]]) -> ApiError:
    """422: understood, and not to be had; `messages` says why, by member."""
    text = "; ".join(text for texts in messages.values() for text in texts)
    return ApiError(422, error, text, messages=messages)


def offline(description: str = "", command_id: str = "") -> ApiError:
    """408: the vehicle is not there to answer."""
    return ApiError(408, OFFLINE, description, command_id=command_id)


def too_fast(retry_s: int, description: str) -> ApiError:
    """429 by `rates.py`, whose figures stand in every answer's headers."""
    headers = {"Retry-After": str(retry_s)}
    return ApiError(429, f"Retry in {retry_s} seconds", description, headers=headers)


def elsewhere(base_url: str) -> ApiError:
    """421: this account lives in another region.

    Go clients read the host out of this very phrase, Tesla's proxy out of the header (§1.5).
    """
    text = f"user out of region, use base URL: {base_url}, see {REGIONS_PAGE}"
    host = base_url.removeprefix("https://").removeprefix("http://")
    return ApiError(421, text, headers={"Alt-Svc": f"h2=https://{host}"})


def unregistered(client_id: str, base_url: str) -> ApiError:
    """412: the app has not called `POST partner_accounts` in this region. The body is bare."""
    text = f"Account {client_id} must be registered in the current region {base_url}"
    return ApiError(412, f"{text}, please see {REGISTER_PAGE}", bare=True)


def retry_later(retry_s: int, description: str) -> ApiError:
    """429, with the headers that clients read."""
    headers = {
        "Retry-After": str(retry_s),
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(retry_s),
    }
    return ApiError(429, f"Retry in {retry_s} seconds", description, headers=headers)
