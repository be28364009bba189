"""Following a vehicle for as long as a connection and its token last, in whatever protocol."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from litestar.exceptions import WebSocketDisconnect

from motorcade.api.counter import Counter
from motorcade.api.feed import Encode, End, Feed, FeedParts, Holder, as_json
from motorcade.api.vehicles import entry
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle

FEED_ID_BYTES: Final = 16
STREAM: Final = "stream"  # in the access log
Awaited = Coroutine[Any, Any, None]
LEFT: Final = (1000, 1001)  # the client's own words for "I am done"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who follows which vehicle, from where on, how often."""

    access: AccessToken
    generation: int  # of the keys that the token was verified with
    vehicle: Vehicle
    resume: str
    interval_ms: int


@contextlib.contextmanager
def carried(
    counter: Counter, asked: Asked, encode: Encode = as_json, kind: str = STREAM
) -> Iterator[Holder]:
    """A feed for this connection while the block runs; it ends when the token does. `kind`: what
    the access log calls it."""
    access, vehicle = asked.access, asked.vehicle
    parts = FeedParts(counter.state, counter.commands, counter.clock, counter.config.api, encode)

    def make() -> Feed:
        feed_id = counter.entropy(FEED_ID_BYTES).hex()
        sight = partial(counter.sight, access, vehicle)
        return Feed(parts, access, vehicle, partial(entry, counter, vehicle), sight, feed_id)

    holder = counter.streams.carry(
        asked.resume, lambda feed: feed.is_of(access, vehicle, encode), make, asked.interval_ms
    )
    revoked = partial(holder.finish, End.REVOKED)
    sees = partial(counter.sees, access, vehicle)
    counter.standing.watch(access, revoked, asked.generation, sees)
    park = True
    try:
        with (
            counter.lifetimes.told(access, partial(holder.finish, End.EXPIRED)),
            counter.accesses.lasting(access, vehicle.token, kind),
        ):
            yield holder
    except WebSocketDisconnect as gone:
        park = gone.code not in LEFT
    except OSError:
        pass  # while it was written to: the app may come back
    finally:
        counter.standing.unwatch(revoked)
        counter.streams.part(holder, park=park and holder.end is not End.REVOKED)


async def until_either_ends(sending: Awaited, listening: Awaited) -> None:
    """Run both ends of a WebSocket until one ends, and end the other. Raises what they raised."""
    tasks = asyncio.ensure_future(sending), asyncio.ensure_future(listening)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
