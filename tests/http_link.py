"""A kept-alive HTTP/1.1 connection to the API, as thin as an audit or benchmark wants it."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any  # parsed JSON; None when empty


class HttpLink:
    """One connection, one request at a time. Opens again after the server closed it."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._netloc = parts.hostname, parts.port, parts.netloc
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send and wait. Raises `OSError` or `EOFError` when the connection ends."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._netloc}"]
        lines += [f"Authorization: Bearer {self._token}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            return await self._answer(reader)
        except (OSError, EOFError):
            self.close()
            raise

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        content = await reader.readexactly(int(fields.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), fields, json.loads(content) if content else None)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def until_healthy(ready: dict[str, Any], wait_s_max: float = 60.0) -> None:
    """Wait until `/health/ready` says ok. Raises `TimeoutError`."""
    link = HttpLink(ready["api"]["url"], ready["admin_token"])
    try:
        async with asyncio.timeout(wait_s_max):
            while (await link.request("GET", "/health/ready")).status != 200:
                await asyncio.sleep(0.01)
    finally:
        link.close()
