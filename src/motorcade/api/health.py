"""`/health/live`, `/health/ready`, `/metrics` for machines, `/api/2/system` for people.

Health needs no token and tells no figure. Metrics tell how busy a fleet is, so they want a bearer
token with scope `metrics` (`motorcade token --scopes metrics`). The page shows the same to people
who have a role, as figures that mean something by themselves.
"""

from typing import Any, Final

import msgspec
from litestar import MediaType, Response, get
from litestar.di import NamedDependency

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.inside import Health, Inside, System
from motorcade.api.shapes import Envelope

EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"


@get("/health/live")
async def live(counter: NamedDependency[Counter]) -> Response[bytes]:
    """200 while this process works; 503: start it again."""
    return _answer(await _inside(counter).live())


@get("/health/ready")
async def ready(counter: NamedDependency[Counter]) -> Response[bytes]:
    """200 while records can be committed, state is caught up and the gateway answers, else 503."""
    return _answer(await _inside(counter).ready())


@get("/metrics")
async def metrics(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[bytes]:
    """The figures of all processes, for Prometheus."""
    counter.allow(request)
    return Response(await _inside(counter).metrics(), media_type=EXPOSITION)


@get("/api/2/system")
async def system(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[System]]:
    """How the platform itself does, for people who watch it."""
    counter.allow(request)
    return ok(await _inside(counter).system())


def _inside(counter: Counter) -> Inside:
    assert counter.inside is not None  # the composition root gives one
    return counter.inside


def _answer(health: Health) -> Response[bytes]:
    checks: dict[str, Any] = {
        name: {"ok": not reason, "reason": reason} for name, reason in health.checks.items()
    }
    body = msgspec.json.encode({"ok": health.ok, "checks": checks})
    status = 200 if health.ok else 503
    return Response(body, status_code=status, media_type=MediaType.JSON)
