"""What a power loss leaves: beside real files, the part of them that nobody may take for granted.

The process works on real files in one directory. This keeps, for each, the bytes that a sync has
brought to the disk and the writes since, for each directory the names, likewise. `power_loss`
throws the real files away and lays out what was found when the power came back.

The rules are the weakest that POSIX allows: a sync of a file brings its bytes and its size, not its
name; a sync of a directory its names; a failed sync leaves some bytes on the disk and forgets that
the others are dirty, as Linux does; unsynced writes reach the disk in any order and in part.
"""

import os
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.plan import Fault

Write = tuple[int, bytes | None]  # offset and bytes; `None`: the size becomes the offset


@dataclass(eq=False)
class Node:
    """A file or a directory."""

    is_directory: bool = False
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write] = field(default_factory=list)
    mapped: bool = False  # as shared memory: its pages are written behind our back


Names = dict[Path, Node]


class Shadow:
    """The disk under `root`, which is there and durable."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        self.names: Names = {}
        self._durable: Names = {}
        self._renamed: list[tuple[Path, tuple[tuple[Path, Node | None], ...]]] = []
        self._last: tuple[Node, Write] | None = None
        self._chance = random.Random(seed)

    # -- what happened -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything that is there now counts as durable."""
        self.names = {}
        for path in sorted(self.root.rglob("*")):
            content = b"" if path.is_dir() else path.read_bytes()
            self.names[path] = Node(path.is_dir(), bytearray(content))
        self._durable = dict(self.names)
        self._renamed, self._last = [], None

    def node(self, path: Path) -> Node:
        return self.names[path]

    def create(self, path: Path, *, is_directory: bool = False) -> None:
        self._move(path, (path, Node(is_directory)))

    def rename(self, source: Path, target: Path) -> None:
        self._move(target, (target, self.names[source]), (source, None))

    def unlink(self, path: Path) -> None:
        self._move(path, (path, None))

    def write(self, node: Node, offset: int, data: bytes | None) -> None:
        node.pending.append((offset, data))
        self._last = (node, (offset, data))

    def sync(self, node: Node) -> None:
        for write in node.pending:
            apply_write(node.durable, write)
        node.pending.clear()

    def sync_range(self, node: Node, offset: int, data: bytes) -> None:
        """A synced write brings its bytes, earlier sizes, and what it wrote over."""
        kept: list[Write] = []
        for write in node.pending:
            if write[1] is None or (
                write[0] < offset + len(data) and offset < write[0] + len(write[1])
            ):
                apply_write(node.durable, write)
            else:
                kept.append(write)
        node.pending = kept
        apply_write(node.durable, (offset, data))

    def sync_failed(self, node: Node) -> None:
        """Some of it is on the disk; the rest reads well and is never written again."""
        for write in node.pending:
            self._reach(node, write)
        node.pending.clear()

    def sync_names(self, directory: Path) -> None:
        for where, changes in self._renamed:
            if where == directory:
                self._set(self._durable, changes)
        self._renamed = [each for each in self._renamed if each[0] != directory]

    # -- the power fails ---------------------------------------------------------------------------

    def power_loss(self, fault: Fault) -> None:
        """Lay out what is found afterwards; it is durable from now on."""
        mapped = {
            node: path.read_bytes()
            for path, node in self.names.items()
            if node.mapped and path.exists()
        }
        for node in set(self._nodes()):
            self._settle(node, mapped.get(node), fault)
        for _, changes in self._renamed:
            if fault is Fault.POWER_KEPT or (
                fault is Fault.POWER_MIXED and self._chance.random() < 0.5
            ):
                self._set(self._durable, changes)
        self._lay_out()

    def _settle(self, node: Node, mapped: bytes | None, fault: Fault) -> None:
        for write in node.pending:
            if fault is Fault.POWER_KEPT:
                apply_write(node.durable, write)
            elif fault is Fault.POWER_MIXED:
                self._reach(node, write)
            elif fault is Fault.POWER_TORN and self._last == (node, write) and write[1]:
                apply_write(node.durable, (write[0], write[1][: (len(write[1]) + 1) // 2]))
        node.pending.clear()
        if mapped is not None and fault is Fault.POWER_KEPT:
            node.durable = bytearray(mapped)
        if mapped is not None and fault is Fault.POWER_MIXED and self._chance.random() < 0.5:
            node.durable[: len(mapped) // 2] = mapped[: len(mapped) // 2]

    def _lay_out(self) -> None:
        for entry in self.root.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        there = {self.root}
        for path, node in sorted(self._durable.items()):
            if path.parent not in there:
                continue  # its directory's name was lost, and all below with it
            if node.is_directory:
                path.mkdir()
                there.add(path)
            else:
                path.write_bytes(node.durable)
                os.chmod(path, 0o600)
        self.settle()

    # -- inside ------------------------------------------------------------------------------------

    def _nodes(self) -> Iterable[Node]:
        yield from self.names.values()
        yield from self._durable.values()
        for _, changes in self._renamed:
            yield from (node for _, node in changes if node is not None)

    def _move(self, where: Path, *changes: tuple[Path, Node | None]) -> None:
        self._set(self.names, changes)
        self._renamed.append((where.parent, changes))

    @staticmethod
    def _set(names: Names, changes: Iterable[tuple[Path, Node | None]]) -> None:
        for path, node in changes:
            if node is None:
                names.pop(path, None)
            else:
                names[path] = node

    def _reach(self, node: Node, write: Write) -> None:
        """What became of a write that nobody waited for: all, none, or some of it."""
        offset, data = write
        if data is None:
            if self._chance.random() < 0.5:
                apply_write(node.durable, write)
            return
        cuts = [0, len(data), self._chance.randint(0, len(data))]
        start, end = sorted((self._chance.choice(cuts), self._chance.choice(cuts)))
        if start < end:
            apply_write(node.durable, (offset + start, data[start:end]))


def apply_write(content: bytearray, write: Write) -> None:
    """Do to `content` what the write does to a file."""
    offset, data = write
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(offset - len(content), 0)))
    content[offset : offset + len(data)] = data
