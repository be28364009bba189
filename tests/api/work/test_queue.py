"""What people note stays on its item, across restarts, until the cause is gone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from motorcade.api.window.picture import Looker
from motorcade.api.work.queue import NotNotedError, NotOpenError, Seen, WorkQueue
from motorcade.api.work.shown import Desk, WorkItem, open_items, row_of
from motorcade.clock import SimulatedClock
from motorcade.config import Config, RegistryConfig
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.work.port import WorkNote
from tests.api.work.scenes import NOW_US, SECOND, failed, fleet

SETTINGS = ("work.look_s=0", "work.settle_s=30", "work.fold_s=60", "work.notes_max=3")
CONFIG = Config().with_overrides(
    [*SETTINGS, "dashboard.silent_s=100", "dashboard.silent_resting_s=1000"]
)
ALL = Looker("ops", "page", sees_all=True, owns_all=False, trusted=True, located=True)


class Scene:
    """A queue over a fleet that the test sets; opened again as after a restart."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, SimulatedClock(NOW_US)
        self.failed: list[Any] = []
        self.ages: list[int] = []
        self.alarms: list[int] = []
        self.signal_us = 7
        self.open()

    def open(self) -> None:
        self.registry = EmbeddedRegistry(
            self.path, account_key=bytes(32), clock=self.clock, config=RegistryConfig()
        )
        state: Any = SimpleNamespace(
            value=lambda _token, _name: SimpleNamespace(time_us=self.signal_us, value=True)
        )
        commands: Any = SimpleNamespace(failed=lambda *_: [view for view, _ in self.failed])
        self.queue = WorkQueue(self.registry.work, state, commands, CONFIG, self.clock)

    def again(self) -> None:
        self.registry.close()
        self.open()

    def look(self) -> Seen:
        """As of the clock; ages are of the first instant."""
        alarms = self.alarms or [0] * len(self.ages)
        passed_s = (self.clock.now_us() - NOW_US) // SECOND
        told = fleet([age + passed_s if age else 0 for age in self.ages], alarms=alarms)
        columns = replace(
            told.fleet,
            at_us=self.clock.now_us(),
            received_us=told.fleet.received_us + passed_s * SECOND,
        )
        roster = SimpleNamespace(
            vehicles=told.vehicles,
            known=told.known,
            by_token={vehicle.token: vehicle for _, vehicle in self.failed},
        )
        picture: Any = SimpleNamespace(columns=columns, roster=roster, epoch=1)
        return self.queue.look(picture)

    def items(self, *, snoozed: bool = False) -> list[WorkItem]:
        seen, desk = self.look(), Desk(ALL, "operator", self.clock.now_us())
        return [one.item for one in open_items(seen, desk, CONFIG.work, snoozed=snoozed)]

    def note(self, item_id: str, what: str, who: str = "mika", **more: Any) -> None:
        row = row_of(self.look().items[item_id])
        until_us, text = more.get("until_us"), more.get("text", who)
        now_us = self.clock.now_us()
        self.queue.note(row, WorkNote(0, item_id, now_us, f"s-{who}", who, what, text, until_us))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "registry.sqlite")
    yield made
    made.registry.close()


def test_notes_are_on_their_item_after_a_restart_and_when_others_join_it(scene: Scene) -> None:
    scene.ages = [200]
    (alone,) = scene.items()
    scene.note(alone.id, "acknowledge")
    scene.note(alone.id, "assign", text="aino")
    scene.ages = [200, 190, 191, 192, 5]
    scene.again()
    together, kept = sorted(scene.items(), key=lambda item: -item.count)
    assert (together.count, together.title) == (3, "3 cars silent together")
    assert (kept.id, kept.acknowledged_by, kept.assigned_to) == (alone.id, "mika", "aino")
    assert [(note.who, note.what) for note in kept.log] == [
        ("mika", "acknowledged"),
        ("mika", "assigned"),
    ]
    scene.note(together.id, "comment", text="a tunnel")
    scene.ages = [1, 190, 1, 192, 195, 197]  # the first of them has spoken, others join it
    scene.again()
    found = {item.id: item for item in scene.items()}
    assert [note.text for note in found[together.id].log] == ["a tunnel"]
    assert found[together.id].count == 2


def test_an_item_closes_by_itself_when_its_cause_is_gone_and_tells_who_had_it(scene: Scene) -> None:
    scene.ages = [2_000, 200]
    first, second = scene.items()
    scene.note(first.id, "acknowledge")
    scene.note(first.id, "assign", who="mika", text="aino")
    scene.ages = [1, 200]  # just started: live state may catch up yet
    assert [item.id for item in scene.items()] == [first.id, second.id]
    scene.clock.advance(31)
    assert [item.vehicles[0].name for item in scene.items()] == ["Car 1"]
    told = scene.look()
    assert told.last_closed == (NOW_US + 31 * SECOND, "aino")
    scene.queue.write()
    with pytest.raises(NotOpenError):
        scene.queue.undo(first.id, "s-mika")
    scene.again()
    assert scene.look().last_closed == told.last_closed
    assert [row.id for row in scene.registry.work.closed(9)] == [first.id]
    assert scene.registry.work.open() == []


def test_what_one_did_last_one_can_undo_for_ten_seconds(scene: Scene) -> None:
    scene.ages = [200]
    (item,) = scene.items()
    scene.note(item.id, "acknowledge")
    scene.note(item.id, "comment", who="aino", text="mine")
    scene.clock.advance(10)
    undone = scene.queue.undo(item.id, "s-mika")
    assert undone.what == "acknowledge"
    (left,) = scene.items()
    assert (left.acknowledged_by, [note.text for note in left.log]) == (None, ["mine"])
    with pytest.raises(NotNotedError, match="10 s"):
        scene.queue.undo(item.id, "s-mika")
    scene.clock.advance(0.001)
    with pytest.raises(NotNotedError):
        scene.queue.undo(item.id, "s-aino")
    scene.again()
    assert [note.text for note in scene.items()[0].log] == ["mine"]


def test_a_snoozed_item_comes_back(scene: Scene) -> None:
    scene.ages = [200]
    (item,) = scene.items()
    scene.note(item.id, "snooze", until_us=NOW_US + 60 * SECOND)
    assert scene.items() == []
    (snoozed,) = scene.items(snoozed=True)
    assert snoozed.snoozed_until_us == NOW_US + 60 * SECOND
    scene.clock.advance(60)
    assert [one.id for one in scene.items()] == [item.id]
    assert scene.items(snoozed=True) == []


def test_an_alarm_that_was_noted_is_the_same_after_a_restart(scene: Scene) -> None:
    scene.ages, scene.alarms = [1], [8]
    scene.signal_us = NOW_US - 60 * SECOND
    (item,) = scene.items()
    assert (item.severity, item.since_us) == ("critical", scene.signal_us)
    scene.note(item.id, "acknowledge")
    scene.signal_us = NOW_US  # told again: it is on all the while
    assert [one.id for one in scene.items()] == [item.id]
    scene.again()
    assert [(one.id, one.acknowledged_by) for one in scene.items()] == [(item.id, "mika")]


def test_an_item_takes_so_many_notes_and_a_disk_that_fails_changes_nothing(scene: Scene) -> None:
    scene.failed = [failed(1, 5)]
    (item,) = scene.items()
    assert item.title == "Door unlock failed: offline"
    for number in range(3):
        scene.note(item.id, "comment", text=str(number))
    with pytest.raises(NotNotedError, match="3 notes"):
        scene.note(item.id, "comment")
    scene.clock.advance(31)
    scene.failed = []

    def fail(*_: Any) -> None:
        raise RegistryUnavailableError("full")

    scene.items()
    notes: Any = scene.queue.notes
    scene.queue.notes = SimpleNamespace(close=fail)  # type: ignore[assignment]
    scene.queue.write()
    scene.queue.notes = notes
    assert len(scene.registry.work.open()) == 1
    scene.queue.write()
    assert scene.registry.work.open() == []
    (row,) = scene.registry.work.closed(9)
    assert (row.closed_by, row.closed_us) == ("mika", NOW_US + 31 * SECOND)


def test_closed_items_are_forgotten_after_their_time(scene: Scene) -> None:
    scene.failed = [failed(1, 5)]
    scene.note(scene.items()[0].id, "acknowledge")
    work = scene.registry.work
    work.close([(scene.items()[0].id, 100, "mika")], 99)
    assert len(work.closed(9)) == 1
    work.close([], 100)
    assert work.closed(9) == []
