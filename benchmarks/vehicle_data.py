"""`vehicle_data` per second of a core: what a request costs the API process, its gateway idle.

Claim (docs/measurements.md): at least 2,000 requests per second of the API's CPU. A car has told of
everything once and stays connected; an app's token (issued as OAuth issues it, so each request asks
whether it still stands) reads it over kept connections, as fast as answers come. In turn with it,
the same bytes from a bare ASGI function under the same server, which is what the server costs
alone, and from a bare Litestar route. CPU is user and system time of the serving process, whatever
the client costs beside it. `python -m benchmarks.vehicle_data [--seconds N] [--rounds N]`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.machine import MachineTimes, cpu_us, describe, name_of, tree
from motorcade.api.oauth.desk import Desk
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.identity.authority import open_authority
from motorcade.identity.tokens import token_authority
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.people.port import AppRequest, CodeRequest
from motorcade.vehicle.model import Car
from motorcade.vehicle.samples import JsonSampler
from motorcade.wire.mqtt.publish import Puback
from tests.gateway.mqtt.wire_client import Client
from tests.platform_process import Platform, add_vehicles

VIN: Final = "5YJ3E1EA7KF000001"
REDIRECT: Final = "https://app.example/callback"
SCOPES: Final = ("vehicle_device_data", "vehicle_location")
CONNECTIONS: Final = 8
WANTED_PER_S: Final = 2_000
WARM_S: Final = 2.0
NO_LIMIT: Final = "rates.data_per_minute=100000000"  # counted as ever, and never too many


class Asker(asyncio.Protocol):
    """One kept connection: the next request leaves when the answer is whole."""

    def __init__(self, request: bytes, seen: list[int]) -> None:
        self._request, self._seen = request, seen
        self._left = 0
        self._head = b""
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._left:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._head[:end].lower()
            assert head.startswith(b"http/1.1 200"), self._head
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            data, self._head = self._head[end + 4 :], b""
            self._left, self.answer = length, b""
        self.answer += data
        self._left -= len(data)
        if not self._left:
            self._seen[0] += 1
            self._transport.write(self._request)


async def ask(port: int, request: bytes, seconds: float) -> tuple[int, float, bytes]:
    """How many whole answers, in how many seconds, and the last one's body."""
    loop = asyncio.get_running_loop()
    seen = [0]
    askers = []
    for _ in range(CONNECTIONS):
        transport, asker = await loop.create_connection(
            lambda: Asker(request, seen), "127.0.0.1", port
        )
        askers.append((transport, asker))
    begun_s = time.monotonic()
    await asyncio.sleep(seconds)
    passed_s = time.monotonic() - begun_s
    for transport, _ in askers:
        transport.abort()
    return seen[0], passed_s, askers[0][1].answer


def measure(port: int, pid: int, request: bytes, seconds: float) -> tuple[float, float, bytes]:
    """(µs of CPU per request, requests per second, an answer)."""
    before = cpu_us(pid)
    count, passed_s, answer = uvloop.run(ask(port, request, seconds))
    return (cpu_us(pid) - before) / count, count / passed_s, answer


def app_token(data: Path) -> str:
    """What the token endpoint would give an app that the owner allowed."""
    config, clock = Config(), SystemClock()
    authority = open_authority(data, config=config.identity)
    registry = EmbeddedRegistry(
        data / "registry.sqlite",
        account_key=authority.account_key,
        clock=clock,
        config=config.registry,
    )
    try:
        people = registry.people
        app, _ = people.add_app(AppRequest("Reader", (REDIRECT,), SCOPES, "reads"))
        owner = people.person("owner")
        assert owner is not None
        mark = people.browser_mark(owner.email, REDIRECT)
        signed_in = people.sign_in(people.begin_sign_in(owner.id, REDIRECT, mark))
        assert signed_in is not None
        asked = CodeRequest(
            person_id=owner.id,
            app_id=app.id,
            scopes=SCOPES,
            asked=SCOPES,
            redirect_uri=REDIRECT,
            challenge="",
            nonce="",
            signed_in_time_us=signed_in.signed_in_time_us,
            sign_in_id=signed_in.id,
        )
        begun = people.begin_session(people.issue_code(asked, "NA_"), app, "NA_")
        assert begun is not None
        desk = Desk(
            people, token_authority(authority), clock=clock, entropy=os.urandom, config=config
        )
        return str(desk.person_tokens(begun[0], "", app, issuer="")["access_token"])
    finally:
        registry.close()


def tell_everything(platform: Platform, file: dict[str, Any]) -> Client:
    """A car that has sent one whole sample and stays; its connection."""
    account = file["mqtt"]
    client = Client(platform.ready["mqtt"]["port"])
    client.connect(account["username"], account["client_id"], account["password"].encode())
    payload = JsonSampler().sample(Car(1), {}, time.time_ns() // 1_000)
    client.publish(f"{account['publish_topic_prefix']}/telemetry", payload, 1)
    client.expect(Puback)
    return client


PEERS: Final = {
    "bare ASGI": """
async def app(scope, receive, send):
    head = [(b"content-type", b"application/json"), (b"content-length", LENGTH)]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": BODY})
""",
    "bare Litestar": """
from litestar import Litestar, Response, get
@get("/api/1/vehicles/{tag:str}/vehicle_data")
async def data(tag: str) -> Response[bytes]:
    return Response(BODY, media_type="application/json")
app = Litestar([data], openapi_config=None)
""",
}


@contextlib.contextmanager
def peer(directory: Path, source: str, body: bytes) -> Iterator[tuple[int, int]]:
    """(port, pid) of a server of our kind that answers these bytes."""
    (directory / "body").write_bytes(body)
    listener = socket.create_server(("127.0.0.1", 0))
    program = f"""
import asyncio, socket, uvicorn, uvloop
BODY = open({str(directory / "body")!r}, "rb").read()
LENGTH = str(len(BODY)).encode()
{source}
config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False,
                        server_header=False, proxy_headers=False)
uvloop.run(uvicorn.Server(config).serve(sockets=[socket.socket(fileno={listener.fileno()})]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
    )
    try:
        yield listener.getsockname()[1], process.pid
    finally:
        process.terminate()
        process.wait()
        listener.close()


def request_of(port: int, token: str) -> bytes:
    return (
        f"GET /api/1/vehicles/{VIN}/vehicle_data HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/json\r\n\r\n"
    ).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(describe())
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vehicle-data-")))
        data = directory / "data"
        files = add_vehicles(data, [VIN], directory / "vehicles")
        platform = Platform(data, [NO_LIMIT])
        platform.start()
        stack.callback(platform.stop)
        car = stack.enter_context(tell_everything(platform, files[VIN]))
        assert car is not None
        api = next(pid for pid in tree(platform.pid) if name_of(pid) == "api")
        port = int(platform.ready["api"]["url"].rpartition(":")[2])
        token = app_token(data)
        *_, body = measure(port, api, request_of(port, token), WARM_S)
        said = json.loads(body)["response"]
        print(f"  an answer: {len(body)} bytes, state {said['state']}, sections {len(said)}")
        servers = {"ours": (port, api)}
        for name, source in PEERS.items():
            servers[name] = stack.enter_context(peer(directory, source, body))
        time.sleep(2)
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, (place, pid) in servers.items():
                times, own_s = MachineTimes.read(), time.process_time()
                request = request_of(place, token)
                cost_us, rate, _ = measure(place, pid, request, options.seconds)
                spent_us = cost_us * rate * options.seconds + (time.process_time() - own_s) * 1e6
                costs[name].append(cost_us)
                print(
                    f"  {name:13s} {cost_us:6.1f} us/request = {1e6 / cost_us:7,.0f} per second of "
                    f"a core; {rate:7,.0f}/s; {MachineTimes.read().since(times, spent_us)}",
                    flush=True,
                )
        ours = statistics.median(costs.pop("ours"))
        ratios = {name: ours / statistics.median(of_peer) for name, of_peer in costs.items()}
        print(
            f"  median {1e6 / ours:,.0f} per second of a core (wanted: {WANTED_PER_S:,}), "
            + ", ".join(f"{ratio:.2f} times {name}" for name, ratio in ratios.items())
        )


if __name__ == "__main__":
    main()
