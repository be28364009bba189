"""The API's server: it stops when told, and its `Date` goes on, though it hardly wakes."""

import asyncio
import time
from typing import Any

import pytest

from motorcade.api import server
from motorcade.api.server import listen, serve

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(scope: Any, _receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


def test_the_date_goes_on_and_a_stop_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = iter(f"date {number}" for number in range(1_000))
    monkeypatch.setattr("uvicorn.server.formatdate", lambda _now, usegmt: next(dates))
    monkeypatch.setattr(server, "DATE_S", 0.05)

    async def date_of(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return next(line for line in head.split(b"\r\n") if line.startswith(b"date: "))

    async def main() -> float:
        listener = listen("127.0.0.1", 0)
        running = await serve(app, [listener])
        before = await date_of(listener.port)
        await asyncio.sleep(0.2)
        assert await date_of(listener.port) != before
        monkeypatch.setattr(server, "DATE_S", 60.0)
        await asyncio.sleep(0.1)  # now it sleeps for a minute
        begun_s = time.monotonic()
        await running.stop()
        return time.monotonic() - begun_s

    assert asyncio.run(main()) < 5
