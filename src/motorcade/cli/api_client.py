"""Calls the API of the running server, as an app would, with its admin token. Blocking."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from motorcade.cli.data import require_server
from motorcade.cli.render import CommandError

TIMEOUT_S: Final = 30.0  # the API answers a command after `commands.response_s_max`, 10 s


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    body: dict[str, Any]  # empty when it was no JSON object
    command_id: str  # "" when the answer is of no command

    @property
    def reason(self) -> str:
        """What an error's body tells people."""
        return error_text(self.body) or f"HTTP status {self.status}"


class ApiClient:
    """The API of one running server."""

    def __init__(self, url: str, bearer: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80
        self.bearer = bearer

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its answer, whatever its status. Raises `CommandError`, no answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        sent = {"Authorization": f"Bearer {self.bearer}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                f"the API at {self.host}:{self.port} gives no answer ({error}); it restarts by "
                "itself within 15 s when it fell: try again"
            ) from error
        finally:
            connection.close()
        return Answer(response.status, json_object(content), response.getheader("x-command-id", ""))


def api_client(data: Path) -> ApiClient:
    """The API of the server that runs on `data`. Raises `CommandError` when none runs."""
    ready = require_server(data)
    return ApiClient(ready["api"]["url"], ready["admin_token"])


def error_text(body: Mapping[str, Any]) -> str:
    """The API's error in words, "" when it gives none."""
    told = [body.get("error"), body.get("error_description")]
    return ": ".join(str(text) for text in told if text)


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that stands there, empty when none does."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
