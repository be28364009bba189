"""A stand-in for the page's server: seeded cars, the protocol of docs/protocols/dashboard.md.

It serves the built page and answers as the platform does, with cars that follow from a seed and the
time alone: a picture can be taken twice, and 100,000 cars cost nothing to have. The shipped page
knows nothing of it. By hand: `python -m tests.dashboard.standin --cars 12480 --port 5180`, then
`npm run dev` in `web/` for a page that rebuilds itself.
"""

import argparse
import asyncio
import contextlib
import json
import math
import mimetypes
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import numpy as np
import uvicorn

PAGE = Path(__file__).parents[2] / "src" / "motorcade" / "dashboard" / "page"
STATES = ("moving", "idle", "parked", "charging", "updating", "silent", "alarm")
SHARES = (0.314, 0.033, 0.5, 0.121, 0.0095, 0.02, 0.0025)
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
STREETS = Path(__file__).parents[2] / "web" / "public" / "basemap" / "streets.json"
SPEEDS_MPS = (30.0, 22.0, 13.0, 12.0, 10.0, 7.0)  # by class of street, the biggest first
BUSY = (6.0, 5.0, 5.0, 4.0, 3.0, 1.0)
SQUEEZE = math.cos(math.radians(49.4))
METRES_PER_DEGREE = 111_320.0
DAY_US = 86_400_000_000
CARS_IN_VIEW_MAX = 20_000
DONE = {
    "acknowledge": "acknowledged",
    "assign": "assigned",
    "snooze": "snoozed",
    "comment": "commented",
}
ALL_PARTS = frozenset({"work", "system", "timeline", "shares", "people", "within"})
ALL_PARTS |= {"export", "explain", "consent"}
ADMINS = frozenset({"people", "consent"})
CONSENT: dict[str, Any] = {
    "people": [
        {"name": "Olga Owner", "why": "owner", "location": True},
        {"name": "Veikko", "why": "viewer", "location": False},
    ],
    "people_count": 2,
    "apps": [
        {
            "client_id": "a1",
            "name": "Charge planner",
            "granted_by": "Olga Owner",
            "scopes": ["vehicle_device_data", "vehicle_location"],
            "location": True,
            "grid_m": 500,
            "granted_us": 1_795_000_000_000_000,
            "used_us": None,
        }
    ],
    "links": [
        {
            "id": "7",
            "alone": False,
            "location": False,
            "made_by": "Mika",
            "ends_us": 1_796_000_000_000_000,
        }
    ],
    "zones": 1,
    "grid_m": 0,
}
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Roads:
    """The basemap's streets, point after point; `along` rises over all of them, in metres."""

    lon: np.ndarray
    lat: np.ndarray
    along: np.ndarray
    begin: np.ndarray  # of each line, in `along`
    length: np.ndarray
    speed: np.ndarray
    weight: np.ndarray


@cache
def _roads() -> Roads:
    told = json.loads(STREETS.read_text())
    lons, lats, steps, begin, length, kind = [], [], [], [], [], []
    total = 0.0
    for street in told["streets"]:
        for line in street["lines"]:
            xy = np.cumsum(np.array(line).reshape(-1, 2), axis=0) * told["scale"]
            metres = np.hypot(np.diff(xy[:, 0]) * SQUEEZE, np.diff(xy[:, 1])) * METRES_PER_DEGREE
            if metres.sum() < 40:
                continue
            lons.append(xy[:, 0])
            lats.append(xy[:, 1])
            steps.append(total + np.concatenate([[0.0], np.cumsum(metres)]))
            begin.append(total)
            length.append(metres.sum())
            kind.append(street["class"])
            total += metres.sum() + 1.0
    return Roads(
        np.concatenate(lons),
        np.concatenate(lats),
        np.concatenate(steps),
        np.array(begin),
        np.array(length),
        np.array(SPEEDS_MPS)[kind],
        np.array(BUSY)[kind],
    )


def frame_head(kind: int, count: int, at_us: int, serial: int, *, reset: bool = False) -> bytes:
    """Of a binary frame."""
    return struct.pack("<BBHIqQ", kind, 1, int(reset), count, at_us, serial)


@dataclass
class Town:
    """Seeded cars on the basemap's streets; where each is at `at_us` follows from seed and time."""

    cars: int = 12_480
    seed: int = 8
    location: bool = True
    role: str = "admin"
    queue: bool = True
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    alive: bool = True
    all_moving: bool = False
    basemap: bool = True
    parts: frozenset[str] = ALL_PARTS  # what this server has
    dense_over: int = CARS_IN_VIEW_MAX
    heard: list[dict[str, Any]] = field(default_factory=list)  # what pages sent
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = np.random.default_rng(self.seed)
        n = self.cars
        self.state = chance.choice(len(STATES), size=n, p=np.array(SHARES) / sum(SHARES)).astype(
            "u1"
        )
        if self.all_moving:
            self.state[:] = 0
        if n > 204:
            self.state[204] = 6
        self._roads = _roads()
        weights = self._roads.length * self._roads.weight
        road = chance.choice(len(weights), size=n, p=weights / weights.sum())
        self._begin = self._roads.begin[road]
        self._length = self._roads.length[road]
        self._speed = np.where(
            self.state == 0, chance.uniform(0.5, 1.1, n) * self._roads.speed[road], 0
        )
        self._start = chance.random(n)
        age = chance.exponential(2_500, n)
        age = np.where(chance.random(n) < 0.04, chance.uniform(3e4, 2.6e5, n), age)
        age = np.where(self.state == 5, chance.uniform(3.2e5, 6e6, n), age)
        self.fix_age_ms = age.astype("u4")
        if n > 204:
            self._begin[204] = self._roads.begin[np.argmax(self._roads.length)]
            self._length[204] = self._roads.length.max()
            self._speed[204], self.fix_age_ms[204] = 12.7, 800
        self.names = [f"HD-{slot}" for slot in range(n)]

    def at(self, at_us: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """lon, lat in degrees, speed in m/s, heading in degrees of every car."""
        roads = self._roads
        went = self._start * 2 + self._speed * (at_us / 1e6 % 1e5) / self._length
        back = np.floor(went) % 2 == 1  # there and back along its road
        part = np.where(back, 1 - went % 1, went % 1)
        along = self._begin + part * self._length
        i = np.clip(np.searchsorted(roads.along, along, side="right") - 1, 0, len(roads.along) - 2)
        share = (along - roads.along[i]) / np.maximum(roads.along[i + 1] - roads.along[i], 1e-6)
        share = np.clip(share, 0, 1)
        dlon, dlat = roads.lon[i + 1] - roads.lon[i], roads.lat[i + 1] - roads.lat[i]
        heading = np.degrees(np.arctan2(dlon * SQUEEZE, dlat)) + np.where(back, 180, 0)
        side = 2.5e-5  # cars keep to the right
        right = np.radians(heading + 90)
        lon = roads.lon[i] + share * dlon + side * np.sin(right) / SQUEEZE
        lat = roads.lat[i] + share * dlat + side * np.cos(right)
        return lon, lat, self._speed, heading % 360

    def parts_for(self, token: str) -> frozenset[str]:
        """What this server has for who holds the token."""
        if token == "shared":
            return self.parts & {"timeline"}
        return self.parts - (frozenset() if self.role == "admin" else ADMINS)

    def chosen(self, states: list[str], q: str) -> np.ndarray:
        """Which cars match a filter."""
        fits = np.ones(self.cars, dtype=bool)
        if states:
            fits &= np.isin(self.state, [STATES.index(name) for name in states if name in STATES])
        if q:
            fits &= np.array([q.lower() in name.lower() for name in self.names])
        return fits

    def counts(self, at_us: int, fits: np.ndarray) -> dict[str, Any]:
        states = np.bincount(self.state, minlength=len(STATES)).tolist()
        return {
            "type": "counts",
            "at_us": at_us,
            "total": self.cars,
            "states": states,
            "shown": int(fits.sum()),
        }

    def extent(self) -> list[float] | None:
        """Where nearly all cars are."""
        if not self.cars or not self.location:
            return None
        lon, lat, _, _ = self.at(self.now_us())
        (west, east), (south, north) = (np.quantile(side, (0.02, 0.98)) for side in (lon, lat))
        return [float(west), float(south), float(east), float(north)]

    def frame(self, at_us: int, serial: int, view: dict[str, Any], *, reset: bool) -> bytes:
        """Cars in view, or cells where they are too many."""
        west, south, east, north = view.get("bounds", [-180, -90, 180, 90])
        fits = self.chosen(
            view.get("filter", {}).get("state", []), view.get("filter", {}).get("q", "")
        )
        lon, lat, speed, heading = self.at(at_us)
        w, h = (east - west) * 0.3, (north - south) * 0.3
        inside = (lon >= west - w) & (lon <= east + w) & (lat >= south - h) & (lat <= north + h)
        if not self.location:
            inside[:] = False
        slots = np.flatnonzero(inside)
        if len(slots) > self.dense_over:
            return self._cells(at_us, serial, lon[slots], lat[slots], view.get("zoom", 3))
        head = frame_head(1, len(slots), at_us, serial, reset=reset)
        columns = [
            slots.astype("<u4"),
            (lon[slots] * 1e7).astype("<i4"),
            (lat[slots] * 1e7).astype("<i4"),
            self.fix_age_ms[slots].astype("<u4"),
            (speed[slots] * 100).astype("<u2"),
            (heading[slots] * 100).astype("<u2"),
            self.state[slots],
            np.where(fits[slots], 4, 0).astype("u1"),
        ]
        return head + b"".join(column.tobytes() for column in columns)

    def _cells(
        self, at_us: int, serial: int, lon: np.ndarray, lat: np.ndarray, zoom: float
    ) -> bytes:
        side = 360 / 2 ** (math.floor(zoom) + 3)
        keys, inverse = np.unique(
            np.stack([np.floor(lon / side), np.floor(lat / side)]), axis=1, return_inverse=True
        )
        count = np.bincount(inverse.ravel()).astype("<u4")
        n = len(count)
        head = frame_head(2, n, at_us, serial, reset=True)
        columns = [
            ((keys[0] + 0.5) * side * 1e7).astype("<i4"),
            ((keys[1] + 0.5) * side * 1e7).astype("<i4"),
            np.full(n, side * 1e7).astype("<u4"),
            count,
            np.zeros((n, 7), dtype="<u2"),
        ]
        return head + b"".join(column.tobytes() for column in columns)

    # --- answers ---

    def vehicle(self, slot: int, at_us: int) -> dict[str, Any]:
        lon, lat, speed, _ = (column[slot] for column in self.at(at_us))
        hot = STATES[self.state[slot]] == "alarm"
        rows: list[tuple[str, Any, str, float, float | None, float | None]] = [
            ("soc", 41 + slot % 7 if hot else 30 + slot % 60, "%", 3, 0, 100),
            ("module_temp_max", 52.4 if hot else 31.2, "C", 0.8, -30, 50),
            ("drive_power", 38_200.0 if speed else 0.0, "W", 0.8, None, None),
            ("vehicle_speed", float(speed), "m/s", 0.8, 0, 80),
            ("est_battery_range", 162_000.0, "m", 3, None, None),
            ("inside_temp", 20.5, "C", 12, None, None),
            ("outside_temp", -3.0, "C", 12, None, None),
            ("tpms_pressure_fl", 260_000.0, "Pa", 14_400, 200_000, 350_000),
            ("locked", True, "", 61, None, None),
            ("charge_limit_soc", 80, "%", 420, 50, 100),
            ("gear", "D" if speed else "P", "", 30, None, None),
            ("odometer", 48_214_000.0, "m", 3, None, None),
            ("version", "2026.44.3", "", 3_600, None, None),
            ("software_update_version", "2026.46.1", "", 3_600, None, None),
            ("software_update_download_percent_complete", 40.0, "%", 60, 0, 100),
            *((f"cell_voltage_{i:02}", 3.71 + i / 1e3, "V", 5, 2.8, 4.25) for i in range(8)),
        ]
        if self.location:
            rows += [
                ("latitude", float(lat), "deg", 0.8, None, None),
                ("longitude", float(lon), "deg", 0.8, None, None),
            ]
            if slot == 204:  # the others do not tell how exact they are
                rows.append(("gps_accuracy", 40.0, "m", 0.8, None, None))
        signals = [
            {
                "name": name,
                "value": value,
                "unit": unit,
                "time_us": at_us - int(age_s * 1e6),
                "min": low,
                "max": high,
                "class": "none",
            }
            for name, value, unit, age_s, low, high in rows
        ]
        model = None if slot == 205 else "Model Y"
        return {**self.named(slot, at_us), "model": model, "online": True, "signals": signals}

    def explained(self, slot: int, signal: str, at_us: int) -> dict[str, Any]:
        """What the platform says of a value: two records, the older one late."""
        (said,) = [row for row in self.vehicle(slot, at_us)["signals"] if row["name"] == signal]
        where = {"topic": "telemetry", "partition": 2, "writer": "gateway", "encoding": "x"}
        fates = ["is the value", "late by 3.000 s: a newer value stood already"]
        records = [
            {
                "received_us": at_us - 100_000 - 1_000_000 * place,
                "time_us": said["time_us"] - 3_000_000 * place,
                "value": said["value"],
                "fate": fate,
                "position": 4_711 - place,
                **where,
            }
            for place, fate in enumerate(fates)
        ]
        return {
            "signal": signal,
            "has_value": True,
            "value": said["value"],
            "unit": said["unit"],
            "time_us": said["time_us"],
            "why": [f"the value is {said['value']}: it has the newest time"],
            "records": records,
            "missing": 0,
        }

    def named(self, slot: int, at_us: int) -> dict[str, Any]:
        return {
            "slot": slot,
            "id": str(10_000 + slot),
            "name": self.names[slot],
            "state": STATES[self.state[slot]],
            "last_received_us": at_us - int(self.fix_age_ms[slot]) * 1000,
        }

    def listed(self, query: dict[str, list[str]], at_us: int) -> dict[str, Any]:
        fits = self.chosen(query.get("state", []), query.get("q", [""])[0])
        if "bounds" in query:
            west, south, east, north = map(float, query["bounds"][0].split(","))
            lon, lat, _, _ = self.at(self.now_us())
            fits &= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        limit = int(query.get("limit", ["50"])[0])
        slots = np.flatnonzero(fits)
        rows = [self.named(int(slot), at_us) for slot in slots[:limit]]
        return {
            "response": rows,
            "cursor": "more" if len(slots) > limit else None,
            "count": len(slots),
        }

    def history(self, query: dict[str, list[str]]) -> dict[str, Any]:
        begin, end = int(query["from_us"][0]), int(query["to_us"][0])
        buckets = int(query.get("buckets", ["60"])[0])
        times = np.linspace(begin, end, buckets)
        x = np.linspace(0, 1, buckets)
        line = (
            42
            + 0.6 * np.sin(40 * x) * np.random.default_rng(1).random(buckets)
            + 10 * np.maximum(0, (x - 0.72) / 0.28) ** 1.5
        )
        means: list[float | None] = [round(float(value), 2) for value in line]
        means[20:26] = [None] * 6  # a tunnel
        if query["signals"] == ["version"]:
            words = ["2026.40.1"] * (buckets // 2) + ["2026.44.3"] * (buckets - buckets // 2)
            told = {"unit": "", "last": words, "count": [1] * buckets}
            return {"time_us": [int(us) for us in times], "signals": {"version": told}}
        columns = {
            "min": means,
            "max": means,
            "mean": means,
            "last": means,
            "count": [0 if value is None else 5 for value in means],
        }
        return {
            "time_us": [int(us) for us in times],
            "signals": dict.fromkeys(query["signals"][0].split(","), columns),
        }

    def timeline(self, query: dict[str, list[str]]) -> dict[str, Any]:
        begin, end, buckets = (
            int(query["from_us"][0]),
            int(query["to_us"][0]),
            int(query["buckets"][0]),
        )
        times = np.linspace(begin, end, buckets, endpoint=False)
        hours = (times / 3.6e9 + 2) % 24
        day = np.exp(-(((hours - 8) / 2.5) ** 2)) + np.exp(-(((hours - 17) / 3) ** 2))
        moving = (
            self.cars
            * 0.3
            * (0.12 + 0.8 * day)
            * (0.9 + 0.2 * np.random.default_rng(2).random(buckets))
        ).astype(int)
        alarms = np.zeros(buckets, dtype=int)
        alarms[[int(buckets * share) for share in (0.21, 0.4, 0.61, 0.84, 0.96)]] = [1, 2, 1, 1, 3]
        return {
            "time_us": [int(us) for us in times],
            "moving": moving.tolist(),
            "alarms": alarms.tolist(),
        }

    def work(self, now_us: int) -> dict[str, Any]:
        minute = 60_000_000
        rows = [
            ("1", "alarm", "critical", "Battery rising 1.8 °C/min", "critical", 204, 2),
            ("2", "silent", "warning", "37 cars silent together", "one cell, Weststadt", None, 14),
            ("3", "command", "warning", "Unlock failed: car asleep", "until 14:20", 871, 16),
            ("4", "silent", "notice", "Silent for a day", "last heard near Kirchheim", 512, 31),
        ]
        items = [
            {
                "id": number,
                "kind": kind,
                "severity": severity,
                "title": title,
                "detail": detail,
                "since_us": now_us - minutes * minute,
                "vehicle": None
                if slot is None or slot >= self.cars
                else {"id": str(10_000 + slot), "name": self.names[slot]},
                "acknowledged_by": "mika" if number in self.done("acknowledge") else None,
                "assigned_to": "mika" if number in self.done("assign") else None,
                "snoozed_until_us": now_us + 60 * minute if number in self.done("snooze") else None,
                "closed_us": None,
                "log": [
                    {
                        "time_us": now_us,
                        "who": "mika",
                        "what": DONE[what],
                        "text": body.get("text", ""),
                    }
                    for path, body in self.posted
                    for who, what in [path.split("/")[-2:]]
                    if who == number and what in DONE
                ],
            }
            for number, kind, severity, title, detail, slot, minutes in rows
        ]
        closed = {"time_us": now_us - 290 * minute, "who": "mika"}
        return {"items": items if self.queue else [], "last_closed": closed}

    def work_item(self, number: str, now_us: int) -> dict[str, Any] | None:
        """One item with why it is one."""
        for item in self.work(now_us)["items"]:
            if item["id"] == number:
                vehicle = item["vehicle"] or {"id": "10001", "name": self.names[1]}
                heard = {"what": "heard last", "text": "", "vehicle": vehicle}
                evidence = [{"time_us": item["since_us"], **heard}]
                many = {"vehicles": [vehicle], "count": 1 if item["vehicle"] else 37}
                return {**item, **many, "cause": "It says so itself.", "evidence": evidence}
        return None

    def done(self, action: str) -> set[str]:
        """Items that `action` was done to, and not undone since."""
        found: set[str] = set()
        for path, _ in self.posted:
            parts = path.split("/")
            if parts[1:4] == ["api", "2", "work"]:
                (
                    found.add
                    if parts[5] == action
                    else found.discard
                    if parts[5] == "undo"
                    else lambda _: None
                )(parts[4])
        return found

    def commands(self, now_us: int) -> list[dict[str, Any]]:
        begun = now_us - 260_000_000
        sent = [
            (path.rsplit("/", 1)[-1], body) for path, body in self.posted if "/command/" in path
        ]
        all_ = [*reversed(sent), ("set_charge_limit", {"percent": 80})]
        steps = [("requested", 0), ("sent", 4_000), ("accepted", 412_000), ("done", 1_900_000)]
        return [
            {
                "id": f"c{index}",
                "name": name,
                "parameters": body,
                "state": "done",
                "final": True,
                "reason": "",
                "by": "mika",
                "timeline": [
                    {"state": state, "time_us": begun + after, "reason": ""}
                    for state, after in steps
                ],
            }
            for index, (name, body) in enumerate(all_)
        ]


class Standin:
    """An ASGI application over a `Town`, by hand: what a page asks and nothing else."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.sockets: set[asyncio.Event] = set()
        self.wakes: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.played: list[tuple[int, bytes]] = []  # frames of cars, without their heads: how many
        self.hurried = 0  # so many of them are to be sent at once, one after the other
        self.refresh = 0
        self.used: list[str] = []  # refresh tokens, each time that one was

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._stream(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return

    # --- the stream ---

    async def _stream(self, receive: Receive, send: Send) -> None:
        await receive()
        if not self.town.alive:
            await send({"type": "websocket.close", "code": 1001})
            return
        await send({"type": "websocket.accept"})
        town = self.town
        view: dict[str, Any] = {}
        travel: dict[str, Any] = {"at_us": None}
        changed = asyncio.Event()
        fresh = False  # the page looks at something else
        gone = asyncio.Event()
        self.sockets.add(gone)
        wake = asyncio.get_running_loop(), changed
        self.wakes.add(wake)

        async def listen() -> None:
            nonlocal view, travel, fresh
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    gone.set()
                    changed.set()
                    return
                told = json.loads(message["text"])
                town.heard.append(told)
                if told["type"] == "hello":
                    rights = {
                        "location": town.location,
                        "commands": town.role != "viewer",
                        "people": town.role == "admin",
                    }
                    welcome = {
                        "type": "welcome",
                        "epoch": "e1",
                        "bounds": town.extent(),
                        "now_us": town.now_us(),
                        "states": STATES,
                        "rights": rights,
                        "role": town.role,
                        "parts": sorted(town.parts_for(told["token"])),
                    }
                    await send({"type": "websocket.send", "text": json.dumps(welcome)})
                elif told["type"] == "view":
                    view, fresh = told, True
                    changed.set()
                elif told["type"] == "at":
                    travel, fresh = {**told, "begun": time.monotonic()}, True
                    changed.set()

        listening = asyncio.create_task(listen())
        serial = 0
        try:
            while not gone.is_set():
                changed.clear()
                if view and self.hurried and not fresh:
                    serial += 1
                    self.hurried -= 1
                    played = self.played[serial % len(self.played)]
                    head = frame_head(1, played[0], town.now_us(), serial)
                    await send({"type": "websocket.send", "bytes": head + played[1]})
                    continue
                if view:
                    at_us = town.now_us()
                    if travel["at_us"] is not None:
                        at_us = travel["at_us"] + int(
                            (time.monotonic() - travel["begun"]) * travel["speed"] * 1e6
                        )
                    serial += 1
                    fits = town.chosen(
                        view.get("filter", {}).get("state", []), view.get("filter", {}).get("q", "")
                    )
                    await send(
                        {"type": "websocket.send", "text": json.dumps(town.counts(at_us, fits))}
                    )
                    await send(
                        {
                            "type": "websocket.send",
                            "bytes": town.frame(at_us, serial, view, reset=fresh),
                        }
                    )
                    fresh = False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1 / view.get("rate_hz", 2))
        finally:
            listening.cancel()
            self.wakes.discard(wake)
            self.sockets.discard(gone)
            with contextlib.suppress(RuntimeError):
                await send({"type": "websocket.close", "code": 1001})

    # --- HTTP ---

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = unquote(scope["path"])
        query = parse_qs(scope["query_string"].decode())
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if path == "/oauth2/v3/authorize":
            back = f"{query['redirect_uri'][0]}?code=c0de&state={query['state'][0]}"
            await self._answer(send, 302, b"", "text/plain", {"location": back})
        elif path == "/oauth2/v3/token":
            self.refresh += 1
            self.used += parse_qs(body.decode()).get("refresh_token", [])
            tokens = {
                "access_token": f"a{self.refresh}",
                "refresh_token": f"r{self.refresh}",
                "expires_in": 28_800,
                "token_type": "Bearer",
            }
            await self._json(send, 200, tokens)
        elif path == "/oauth2/v3/revoke":
            await self._json(send, 200, {})
        elif path == "/api/2/shares/open":
            if json.loads(body)["token"] != "good":
                await self._json(send, 404, {"error": "not_found"})
                return
            opened = {
                "access_token": "shared",
                "expires_in": 900,
                "view": "/vehicles/10204?state=moving",
                "ends_us": self.town.now_us() + DAY_US,
                "location": True,
            }
            await self._json(send, 200, {"response": opened})
        elif path.startswith("/api/"):
            if not headers.get("authorization", "").startswith("Bearer "):
                await self._json(send, 401, {"error": "invalid_token"})
            elif not self.town.alive:
                await self._json(send, 503, {"error": "service unavailable"})
            elif scope["method"] == "GET":
                await self._get(send, path, query)
            else:
                told = json.loads(body) if body else {}
                self.town.posted.append((path, told))
                answer = (
                    {"result": True, "reason": ""}
                    if "/command/" in path
                    else {
                        "id": "s1",
                        "token": "s1",
                        "ends_us": self.town.now_us() + DAY_US,
                        "location": False,
                    }
                )
                await asyncio.sleep(0.05)
                await self._json(send, 200, {"response": answer})
        else:
            await self._file(send, path)

    async def _get(self, send: Send, path: str, query: dict[str, list[str]]) -> None:
        town = self.town
        now_us = town.now_us()
        at_us = int(query["at"][0]) if "at" in query else now_us
        parts = path.split("/")[3:]
        answer: Any = None
        whole = False
        if (parts[1] if parts[0] == "fleet" else parts[0]) in ALL_PARTS - town.parts:
            await self._json(send, 404, {"error": "not_found"})
            return
        if parts[0] == "fleet":
            if parts[1] == "cars":
                answer = [
                    town.named(int(slot), now_us)
                    for slot in query["slots"][0].split(",")
                    if int(slot) < town.cars
                ]
            elif parts[1] == "vehicles":
                answer, whole = town.listed(query, at_us), True
            elif parts[1] == "timeline":
                answer = town.timeline(query)
            elif parts[1] == "within":
                answer = [
                    {
                        "id": str(10_000 + slot),
                        "name": town.names[slot],
                        "first_us": now_us - 900_000_000,
                        "last_us": now_us - 60_000_000 * slot,
                    }
                    for slot in range(min(6, town.cars))
                ]
        elif parts[0] == "vehicles":
            slot = int(parts[1]) - 10_000 if parts[1].isdigit() else -1
            if not 0 <= slot < town.cars:
                await self._json(
                    send,
                    404,
                    {
                        "error": "not_found",
                        "error_description": "there is no such vehicle",
                        "txid": "t-204",
                    },
                )
                return
            if len(parts) == 2:
                answer = town.vehicle(slot, at_us)
            elif parts[2] == "history":
                answer = town.history(query)
            elif parts[2] == "consent":
                answer = CONSENT
            elif parts[2] == "explain":
                answer = town.explained(slot, query["signal"][0], at_us)
            elif parts[2] == "commands":
                answer = town.commands(now_us)[: int(query["limit"][0])]
            elif parts[2] == "export" and "format" not in query:
                await self._json(send, 400, {"error": "invalid_field"})
                return
            elif parts[2] == "export":
                await self._answer(send, 200, b"time,soc\r\n", "text/csv", {})
                return
        elif parts[0] == "work" and len(parts) > 1:
            answer = town.work_item(parts[1], now_us)
        elif parts[0] == "work":
            answer = town.work(now_us)
            answer["items"] = [one for one in answer["items"] if not one["snoozed_until_us"]]
        elif parts[0] == "system":
            answer = {
                "lost": 0,
                "failing": [],
                "lag_s": 0.02,
                "ack_ms_p99": 38.0,
                "records_per_s": 52_310.0,
                "ledger": {"sent": 912_340_112, "stored": 912_340_112, "lost": 0},
                "certificates": [{"name": "gateway", "ends_us": now_us + 60 * DAY_US}],
            }
        elif parts[0] == "people":
            people = [
                {"subject": "p1", "name": "Mika", "email": "mika@example.com", "role": "admin"},
                {"subject": "p2", "name": "Aino", "email": "aino@example.com", "role": "operator"},
                {"subject": "p3", "name": "Veikko", "email": "veikko@example.com", "role": None},
            ]
            answer, whole = {"response": people, "cursor": None}, True
        elif parts[0] == "audit":
            answer = [
                {
                    "id": "1",
                    "time_us": now_us - 9_000_000,
                    "who": "mika",
                    "subject": "p1",
                    "client_id": "motorcade-page",
                    "what": "acknowledged",
                    "outcome": "done",
                    "vehicle": {"id": "10204", "name": "HEL-204"},
                    "text": "",
                }
            ]
        elif parts[0] == "shares":
            answer = []
        if answer is None:
            await self._json(send, 404, {"error": "not_found"})
        else:
            await self._json(send, 200, answer if whole else {"response": answer})

    async def _file(self, send: Send, path: str) -> None:
        target = (PAGE / path.lstrip("/")).resolve()
        if path.startswith("/basemap/") and not self.town.basemap:
            await self._json(send, 404, {"error": "not_found"})
            return
        if not (target.is_relative_to(PAGE) and target.is_file()):
            if path.startswith(("/assets/", "/basemap/")):
                await self._json(send, 404, {"error": "not_found"})
                return
            target = PAGE / "index.html"
        kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
        await self._answer(send, 200, target.read_bytes(), kind, {})

    async def _json(self, send: Send, status: int, body: Any) -> None:
        await self._answer(send, status, json.dumps(body).encode(), "application/json", {})

    async def _answer(
        self, send: Send, status: int, body: bytes, kind: str, more: dict[str, str]
    ) -> None:
        headers = {
            "content-type": kind,
            "content-security-policy": POLICY,
            "cache-control": "no-store",
            **more,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


class Served:
    """A stand-in on a loopback port of its own, in a thread."""

    def __init__(self, town: Town, port: int = 0) -> None:
        self.town = town
        self.standin = Standin(town)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.url = f"http://localhost:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self.standin, log_level="warning", ws="wsproto", lifespan="off", ws_max_size=1 << 24
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> "Served":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()

    def hurry(self, frames: int) -> None:
        """Send every page so many frames of `played` as fast as it takes them."""
        self.standin.hurried += frames
        for loop, event in list(self.standin.wakes):
            loop.call_soon_threadsafe(event.set)

    def cut(self) -> None:
        """Lose every page's link, and take none."""
        self.town.alive = False
        for gone in list(self.standin.sockets):
            gone.set()

    def mend(self) -> None:
        self.town.alive = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=12_480)
    parser.add_argument("--port", type=int, default=5180)
    parser.add_argument("--viewer", action="store_true", help="no location, no commands")
    chosen = parser.parse_args()
    role = "viewer" if chosen.viewer else "admin"
    with Served(Town(chosen.cars, role=role, location=not chosen.viewer), chosen.port) as served:
        print(served.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3_600)


if __name__ == "__main__":
    main()
