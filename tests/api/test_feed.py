"""A feed keeps order, its bounds and its promise to go on where the app was, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from motorcade.api.feed import End, Feed, FeedParts, Frame, split_resume
from motorcade.api.shapes import VehicleEntry
from motorcade.api.sight import Sight
from motorcade.api.streams import Streams
from motorcade.clock import SystemClock
from motorcade.config import ApiConfig
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle
from tests.api.standins import ALL_SCOPES, TOKENS, VINS, FakeLive

CAR = Vehicle(7, VINS[0], TOKENS[0], "Car", 1, 0)
OWNER = AccessToken("owner", frozenset(ALL_SCOPES), 1 << 60, "app")


class NoCommands:
    """A router without commands, which counts who watches."""

    def __init__(self) -> None:
        self.watchers: list[Any] = []

    def watch(self, _vehicle: str, watcher: Any) -> None:
        self.watchers.append(watcher)

    def unwatch(self, _vehicle: str, watcher: Any) -> None:
        self.watchers.remove(watcher)

    def recent(self, _vehicle: str, _limit: int) -> list[Any]:
        return []


class Bench:
    """A feed and what it reads."""

    def __init__(self, **limits: Any) -> None:
        self.live, self.commands = FakeLive(), NoCommands()
        self.config = ApiConfig(**limits)
        parts: Any = (self.live, self.commands, SystemClock(), self.config)
        self.parts = FeedParts(*parts)
        self.made = 0
        self.sight = Sight(located=True)

    def feed(self) -> Feed:
        self.made += 1
        return Feed(self.parts, OWNER, CAR, self._entry, lambda: self.sight, f"feed{self.made}")

    async def change(self, **values: Any) -> None:
        self.live.change(TOKENS[0], **values)
        await asyncio.sleep(0)

    @staticmethod
    def _entry() -> VehicleEntry:
        return VehicleEntry(
            id=7, id_s="7", vehicle_id=7, user_id=1, vin=VINS[0], display_name="", state="online"
        )


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await asyncio.wait_for(test(), 20)

    asyncio.run(within())


def told(frames: list[Frame]) -> list[Any]:
    """Kinds, and of signals their values."""
    found = []
    for frame in frames:
        members = msgspec.json.decode(frame.data)
        values = {name: row["value"] for name, row in members.get("signals", {}).items()}
        found.append(values if frame.kind == "signals" else frame.kind)
    return found


def test_changes_follow_the_snapshot_and_what_was_before_is_in_it() -> None:
    async def main() -> None:
        bench = Bench()
        holder = bench.feed().hold(0)
        await bench.change(soc=1.0)
        assert told(await holder.frames()) == ["snapshot"]
        await bench.change(soc=2.0)
        await bench.change(soc=3.0, gear="D")
        await bench.change(online=False)
        assert told(await holder.frames()) == ["vehicle", {"soc": 3.0, "gear": "D"}]

    run(main)


def test_too_much_that_waits_is_replaced_by_a_snapshot() -> None:
    async def main() -> None:
        bench = Bench(stream_queue_changes_max=3)
        holder = bench.feed().hold(0)
        await holder.frames()
        await bench.change(a=1.0, b=1.0)
        await bench.change(online=False)
        assert told(await holder.frames()) == ["vehicle", {"a": 1.0, "b": 1.0}]
        for _ in range(4):
            await bench.change(online=False)
        assert told(await holder.frames()) == ["snapshot"]

    run(main)


def test_what_was_sent_is_kept_up_to_its_bound() -> None:
    async def main() -> None:
        bench = Bench(stream_replay_bytes_max=700)
        feed = bench.feed()
        holder = feed.hold(0)
        await holder.frames()
        sent = []
        for number in range(10):
            await bench.change(soc=float(number))
            sent += await holder.frames()
        for number in (-1, 0, 1, 99):  # too long ago, or never sent
            feed.go_back(number)
            assert told(await holder.frames()) == ["snapshot"]
        last = split_resume(sent[-2].resume)
        assert last is not None
        feed.go_back(last[1] + 5)  # the newest snapshot: nothing came behind it
        await bench.change(gear="P")
        assert told(await holder.frames()) == [{"gear": "P"}]
        assert sum(len(frame.data) for frame in feed._sent) <= 700

    run(main)


def test_frames_that_are_asked_for_again_are_the_very_same() -> None:
    async def main() -> None:
        bench = Bench()
        feed = bench.feed()
        holder = feed.hold(0)
        sent = await holder.frames()
        for number in range(5):
            await bench.change(soc=float(number))
            sent += await holder.frames()
        feed.go_back(3)
        await bench.change(gear="R")
        again = await holder.frames()
        assert again[:3] == sent[3:]
        assert told(again[3:]) == [{"gear": "R"}]

    run(main)


def test_a_parked_feed_ends_after_its_time_and_makes_room_for_younger_ones() -> None:
    async def main() -> None:
        bench = Bench(stream_parked_s_max=0.05, streams_parked_max=2)
        streams = Streams(bench.config)
        holders = [streams.carry("", lambda _: True, bench.feed, 0) for _ in range(3)]
        first = (await holders[0].frames())[-1].resume
        for holder in holders:
            streams.part(holder, park=True)
        assert streams.parked == len(bench.commands.watchers) == 2
        other = streams.carry(first, lambda _: True, bench.feed, 0)
        assert other.feed not in {holder.feed for holder in holders}  # the oldest was dropped
        streams.part(other, park=False)
        await asyncio.sleep(0.2)
        assert streams.parked == len(bench.commands.watchers) == len(bench.live.callbacks) == 0

    run(main)


def test_closing_ends_who_is_there_and_who_is_parked() -> None:
    async def main() -> None:
        bench = Bench()
        streams = Streams(bench.config)
        parked, there = (streams.carry("", lambda _: True, bench.feed, 0) for _ in range(2))
        streams.part(parked, park=True)
        await streams.close(0.01)
        assert (await there.frames(), there.end) == ([], End.STOPPING)
        streams.part(there, park=True)
        assert (streams.parked, bench.commands.watchers) == (0, [])

    run(main)


def test_who_may_not_see_the_vehicle_any_more_is_ended_and_does_not_come_back() -> None:
    async def main() -> None:
        bench = Bench()
        streams = Streams(bench.config)
        parked, there = (streams.carry("", lambda _: True, bench.feed, 0) for _ in range(2))
        streams.part(parked, park=True)
        for subject, vehicle_id in (("another", CAR.id), (OWNER.subject, CAR.id + 1)):
            streams.end(subject, vehicle_id)
        assert (there.end, streams.parked) == (None, 1)
        streams.end(OWNER.subject, CAR.id)
        assert (there.end, streams.parked) == (End.REVOKED, 0)

    run(main)
