"""Snapshots of live state under faults, on the log's file layer as in production."""

from typing import Final

from motorcade.log.files import OsFiles
from motorcade.state.snapshots import SnapshotStore
from tests.faults.world import World


class Snapshots:
    """What `save` returned for is the first that `load` gives, or a later one is."""

    name = "state: snapshots"
    before = 2

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = SnapshotStore(world.root / "state", OsFiles())
        self.tried: list[bytes] = []
        self.saved = -1  # index of the newest that `save` returned for

    def prepare(self) -> None:
        for _ in range(self.before):
            self.save()

    def act(self) -> None:
        for _ in range(2):
            self.save()
        self.load()

    def save(self) -> None:
        self.tried.append(b"snapshot %d " % len(self.tried) * 40)
        with self.world.named_errors():
            self.store.save(self.tried[-1])
            self.saved = len(self.tried) - 1

    def load(self) -> None:
        with self.world.named_errors():
            found = list(self.store.load())
            indices = [self.tried.index(body) for body in found]
            assert indices == sorted(indices, reverse=True)
            self.newest = max(indices, default=-1)

    def go_on(self) -> None:
        self.save()
        assert self.saved == len(self.tried) - 1, "nothing is saved after the fault"

    def check(self) -> None:
        self.load()
        assert self.newest >= self.saved, f"snapshot {self.saved} was saved, {self.newest} is there"
        self.go_on()
        self.load()
        assert self.newest == self.saved
        names = [path.name for path in (self.world.root / "state").iterdir()]
        assert len(names) <= 4, f"old snapshots pile up: {names}"


class FirstSnapshot(Snapshots):
    name = "state: first snapshot"
    before = 0


ALL: Final = (FirstSnapshot, Snapshots)
