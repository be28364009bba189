"""TeslaPy, unmodified, with its own hosts: signs in by PKCE, refreshes, and is told when to anew.

A proxy on loopback takes its connections to Tesla's hosts to our TLS port, as a user's could; the
certificate there answers to those names.
"""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.oauth.house import Browser, told
from tests.api.oauth.test_platform import Outside, owners_password
from tests.engines.install import teslapy
from tests.platform_process import Platform, add_vehicles, run_motorcade

CLIENT = Path(__file__).with_name("teslapy_client.py")
VIN = "5YJ3E1EA7KF000001"
HOSTS = {"auth.tesla.com:443", "owner-api.teslamotors.com:443"}
SCOPES = "openid email offline_access user_data vehicle_device_data"

pytestmark = pytest.mark.timeout(600)  # a first run installs the client


class Proxy:
    """Answers CONNECT for Tesla's hosts by joining the stream to our port; refuses the rest."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ready = threading.Event()
        self.asked: list[str] = []
        self.url = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stopping.wait()
        server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        host = head.split(b" ")[1].decode()
        self.asked.append(host)
        if host not in HOSTS:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Client:
    """The program with TeslaPy."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def write(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def __call__(self, what: str) -> Any:
        self.write(what)
        said = self.read()
        assert "said" in said, said
        return said["said"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("up")
    running = Platform(directory / "data")
    running.start()
    add_vehicles(running.data, [VIN], directory / "cars")
    words = ["--name", "TeslaPy", "--client-id", "ownerapi", "--public", "--scopes", SCOPES]
    redirect = ["--redirect-uri", "tesla://auth/callback"]
    run_motorcade("app", "add", "--data", str(running.data), *words, *redirect)
    yield running
    assert running.stop() == 0


@contextmanager
def client(up: Platform, folder: Path) -> Iterator[tuple[Client, Proxy]]:
    proxy = Proxy(_port(up))
    process = subprocess.Popen(
        [str(teslapy()), str(CLIENT), proxy.url, up.ready["ca_file"], str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Client(process), proxy
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
        proxy.close()


def _port(up: Platform) -> int:
    port = urlsplit(up.ready["api_tls"]["url"]).port
    assert port is not None
    return port


def test_teslapy_signs_in_refreshes_and_is_told_to_sign_in_anew(
    up: Platform, tmp_path: Path
) -> None:
    with client(up, tmp_path) as (tesla, proxy):
        page = urlsplit(tesla.read())
        outside = Outside(up.ready["api"]["url"], {"client_id": "ownerapi"})
        with Browser(outside) as browser:  # type: ignore[arg-type]
            browser.shown = browser.client.get(f"{page.path}?{page.query}")
            assert browser.field("email") == "owner@localhost"  # TeslaPy's hint
            browser.send(
                {"step": "sign_in", "email": "owner@localhost", "password": owners_password(up)}
            )
            consent = {"step": "consent", "decision": "allow", "scope": SCOPES.split()}
            led = browser.send(consent)
            assert told(led)["code"].startswith("NA_")
            tesla.write(led.headers["location"])
        first = tesla("token")
        assert first["refresh_token"].startswith("NA_")
        assert tesla("vins") == [VIN]
        assert tesla("state") == "offline"
        tesla("refresh")
        assert tesla("token")["refresh_token"] != first["refresh_token"]
        assert tesla("vins") == [VIN]
        run_motorcade("person", "password", "--data", str(up.data), "owner")
        tesla.write("refresh")
        assert "login_required" in tesla.read()["raised"]
        assert set(proxy.asked) == HOSTS
