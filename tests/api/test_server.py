"""The API's server: it stops when told, and its `Date` goes on, though it hardly wakes."""

import asyncio
import time
from typing import Any

import pytest

from motorcade.api import server
from motorcade.api.server import _Joining, listen, serve

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


class Wire:
    """A transport that notes what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def test_what_is_written_in_one_turn_leaves_as_one() -> None:
    async def main() -> None:
        wire: Any = Wire()
        joining = _Joining(wire, asyncio.get_running_loop())
        joining.write(b"head ")
        joining.write(b"body")
        assert wire.written == []
        await asyncio.sleep(0)
        assert wire.written == [b"head body"]
        joining.write(b"more")  # a head alone, as of an answer to HEAD, waits for nothing
        await asyncio.sleep(0)
        assert wire.written == [b"head body", b"more"]
        joining.write(b"the end")
        joining.close()
        assert wire.written[2:] == [b"the end"]
        joining.write(b"too late")
        await asyncio.sleep(0)
        assert len(wire.written) == 3
        assert joining.is_closing()

    asyncio.run(main())


def test_much_in_one_turn_is_sent_at_once_so_that_a_slow_client_is_waited_for() -> None:
    async def main() -> None:
        wire: Any = Wire()
        joining = _Joining(wire, asyncio.get_running_loop())
        joining.write(b"head ")
        joining.write(bytes(server.JOINED_BYTES_MAX))
        assert [len(sent) for sent in wire.written] == [5 + server.JOINED_BYTES_MAX]
        joining.write(b"more")
        assert len(wire.written) == 1
        await asyncio.sleep(0)
        assert wire.written[1:] == [b"more"]

    asyncio.run(main())


def test_an_answer_without_an_end_waits_for_a_client_that_reads_nothing() -> None:
    """Uvicorn waits only when the transport says that it holds enough."""
    sent: list[int] = []
    chunks, chunk = 1_000, bytes(64 << 10)

    async def endless(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        listener = listen("127.0.0.1", 0)
        running = await serve(endless, [listener])
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1 << 10)
        writer.write(REQUEST)
        await reader.readline()
        await asyncio.sleep(0.2)
        assert 0 < len(sent) < chunks
        writer.close()
        await running.stop()

    asyncio.run(main())


def test_an_answer_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    flush = _Joining._flush

    def noted(self: _Joining) -> None:
        writes.append(len(self._waiting))
        flush(self)

    monkeypatch.setattr(_Joining, "_flush", noted)

    async def main() -> None:
        listener = listen("127.0.0.1", 0)
        running = await serve(app, [listener])
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        for _ in range(2):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
        assert writes == [2, 2]
        writer.write(REQUEST.replace(b"GET", b"HEAD"))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await running.stop()

    asyncio.run(main())
