"""The operating system's calls, under the real file layers, with a fault in one of them.

`FaultyOs` stands in for `os` and `mmap` in the modules that touch the disk, so that their
own loops and error paths run too. It works on real files and tells `shadow.py` what became of them.
No fsync is really made.
"""

import errno
import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from tests.faults.plan import POWER, STOPS, Call, Fault, Plan
from tests.faults.shadow import Node, Shadow, apply_write

_NUMBERS = re.compile(r"\d{4,}")


class FaultyOs:
    """One machine. `restart` brings it, or its process, back."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        self.shadow = Shadow(root, seed)
        self.plan = Plan()
        self._open: dict[int, tuple[Path, Node]] = {}
        self._kinds: dict[Path, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    # -- what tests steer --------------------------------------------------------------------------

    @contextmanager
    def under(self, *modules: ModuleType) -> Iterator[None]:
        """Let these modules' calls come here."""
        stand_ins = {"os": self, "mmap": SimpleNamespace(mmap=self._map)}
        patches = [
            patch.object(module, name, stand_in)
            for module in modules
            for name, stand_in in stand_ins.items()
            if hasattr(module, name)
        ]
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()

    def arm(self, fault: Fault | None = None, at: int = -1) -> None:
        """Count from here on; the fault happens in the call of that index."""
        self.plan = Plan(fault, at)

    def arm_next(self, fault: Fault, named: str) -> None:
        """The fault happens in the next call of this name."""
        self.plan = Plan(fault, named=named)

    def restart(self, fault: Fault | None = None) -> None:
        """End the process, and the machine if the fault was a power loss."""
        self.end_process()
        if fault in POWER:
            how = Fault.POWER_LOST if fault is Fault.EIO_THEN_POWER else fault
            self.shadow.power_loss(how)
        self.plan = Plan()

    def end_process(self) -> None:
        """Its files are closed; what it wrote stays in the cache."""
        for fd in list(self._open):
            self._open.pop(fd)
            os.close(fd)

    # -- files -------------------------------------------------------------------------------------

    def open(self, path: str | Path, flags: int, mode: int = 0o777) -> int:
        path = Path(path)
        makes = bool(flags & os.O_CREAT) and not path.exists()
        self._enter(Call("open", self._kind(path), changes=makes, grows=makes), path)
        fd = os.open(path, flags, mode)
        if makes:
            self.shadow.create(path)
        if path != self.root:
            self._open[fd] = (path, self.shadow.node(path))
        else:
            self._open[fd] = (path, Node(is_directory=True))
        return fd

    def close(self, fd: int) -> None:
        path, _ = self._open.get(fd, (Path("?"), None))
        try:
            self._enter(Call("close", self._kind(path)))
        finally:  # Linux closes it, whatever it answers.
            if self._open.pop(fd, None) is not None:
                os.close(fd)

    def preadv(self, fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        fault = self._enter(Call("preadv", self._of(fd), moves=True))
        target = buffers[0]
        if fault is Fault.SHORT and len(target) > 1:
            target = target[: len(target) // 2]
        return os.preadv(fd, [target], offset)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        fault = self._enter(Call("pread", self._of(fd), moves=True))
        return os.pread(fd, size // 2 if fault is Fault.SHORT and size > 1 else size, offset)

    def pwritev(
        self, fd: int, parts: Sequence[bytes | memoryview], offset: int, flags: int = 0
    ) -> int:
        data = b"".join(bytes(part) for part in parts)
        name = "pwritev" if not flags else "pwritev+sync"
        return self._write(name, fd, data, offset, synced=bool(flags & os.RWF_DSYNC))

    def write(self, fd: int, data: bytes) -> int:
        return self._write("write", fd, bytes(data), os.fstat(fd).st_size, synced=False)

    def ftruncate(self, fd: int, size: int) -> None:
        self._resize("ftruncate", fd, size)

    def posix_fallocate(self, fd: int, offset: int, size: int) -> None:
        self._resize("posix_fallocate", fd, max(offset + size, os.fstat(fd).st_size))

    def fsync(self, fd: int) -> None:
        path, node = self._open[fd]
        call = Call("fsync", self._kind(path), changes=True, grows=not node.is_directory)
        fault = self._enter(call, raising=False)
        if fault in (Fault.POWER_KEPT, None):
            self.shadow.sync_names(path) if node.is_directory else self.shadow.sync(node)
        elif fault not in STOPS and not node.is_directory:
            self.shadow.sync_failed(node)
        self._end(fault)

    fdatasync = fsync

    def posix_fadvise(self, fd: int, offset: int, size: int, advice: int) -> None:
        """The next read comes from the disk: what a failed sync dropped is seen to be gone."""
        _, node = self._open[fd]
        content = bytearray(node.durable)
        for write in node.pending:
            apply_write(content, write)
        if not node.mapped:
            os.ftruncate(fd, len(content))
            os.pwrite(fd, content, 0)

    # -- names -------------------------------------------------------------------------------------

    def listdir(self, path: str | Path) -> list[str]:
        self._enter(Call("listdir", self._kind(Path(path))), Path(path))
        return os.listdir(path)

    def scandir(self, path: str | Path) -> Any:
        self._enter(Call("scandir", self._kind(Path(path))), Path(path))
        return os.scandir(path)

    def mkdir(self, path: str | Path, mode: int = 0o777) -> None:
        path = Path(path)
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))

        def change() -> None:
            os.mkdir(path, mode)
            self.shadow.create(path, is_directory=True)

        call = Call("mkdir", self._kind(path), changes=True, grows=True)
        self._name_change(call, path, change)

    def replace(self, source: str | Path, target: str | Path) -> None:
        def change() -> None:
            os.replace(source, target)
            self.shadow.rename(Path(source), Path(target))

        call = Call("rename", self._kind(Path(target)), changes=True, grows=True)
        self._name_change(call, Path(target), change)

    def unlink(self, path: str | Path) -> None:
        if not Path(path).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

        def change() -> None:
            os.unlink(path)
            self.shadow.unlink(Path(path))

        call = Call("unlink", self._kind(Path(path)), changes=True)
        self._name_change(call, Path(path), change)

    # -- inside ------------------------------------------------------------------------------------

    def _map(self, fd: int, size: int) -> mmap.mmap:
        self._enter(Call("mmap", self._of(fd)))
        self._open[fd][1].mapped = True
        return mmap.mmap(fd, size)

    def _enter(self, call: Call, path: Path | None = None, *, raising: bool = True) -> Fault | None:
        fault = self.plan.enter(call)
        if raising:
            self._end(fault, path)
        return fault

    def _end(self, fault: Fault | None, path: Path | None = None) -> None:
        if fault in STOPS:
            self.plan.stop()
        error = self.plan.error(fault, path)
        try:
            if error is not None:
                raise error
        finally:
            del error  # else it keeps this frame, and with it all that its callers have mapped

    def _write(self, name: str, fd: int, data: bytes, offset: int, *, synced: bool) -> int:
        path, node = self._open[fd]
        call = Call(name, self._kind(path), changes=True, grows=True, moves=True)
        fault = self._enter(call, raising=False)
        half = data[: (len(data) + 1) // 2]
        if fault is Fault.POWER_LOST or (fault in (Fault.KILL, Fault.ENOSPC) and not synced):
            data = b""  # Killed in a synced write: all is in the cache, nothing on the disk.
        elif fault in (Fault.SHORT, Fault.KILL_TORN, Fault.ENOSPC, Fault.FULL):
            data = half
        elif self.plan.error(fault) is not None:
            data = data if synced else half
        os.pwrite(fd, data, offset) if name != "write" else os.write(fd, data)
        if data:
            self.shadow.write(node, offset, data)
        if synced and fault in (None, Fault.SHORT, Fault.FULL):
            node.pending = node.pending[:-1] if data else node.pending
            self.shadow.sync_range(node, offset, data)
        elif synced and fault not in STOPS:
            self.shadow.sync_failed(node)
        if fault is Fault.FULL and data:
            return len(data)  # the half that fitted; what follows does not
        self._end(fault)
        return len(data)

    def _resize(self, name: str, fd: int, size: int) -> None:
        path, node = self._open[fd]
        grows = size > os.fstat(fd).st_size
        call = Call(name, self._kind(path), changes=True, grows=grows)
        fault = self._enter(call, raising=False)
        if fault in (Fault.POWER_KEPT, Fault.POWER_MIXED, None):
            os.ftruncate(fd, size)
            self.shadow.write(node, size, None)
        self._end(fault)

    def _name_change(self, call: Call, path: Path, change: Callable[[], None]) -> None:
        fault = self._enter(call, raising=False)
        if fault in (Fault.POWER_KEPT, Fault.POWER_MIXED, None):
            change()
        self._end(fault, path)

    def _of(self, fd: int) -> str:
        return self._kind(self._open[fd][0])

    def _kind(self, path: Path) -> str:
        """What sort of file it is: `segment`, `durable`, `test-bulk/`."""
        kind = self._kinds.get(path)
        if kind is None:
            kind = _NUMBERS.sub("", path.name).strip(".") or path.name
            node = self.shadow.names.get(path)
            if path == self.root or (node is not None and node.is_directory):
                kind += "/"
            if node is not None:
                self._kinds[path] = kind
        return kind
