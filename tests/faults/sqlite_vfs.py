"""The disk under SQLite, with a fault in one call: an `apsw` VFS over the files of one machine.

apsw brings a SQLite of its own; the interpreter's cannot be given another VFS from Python. So the
product's code runs here with `sqlite3.connect` replaced by `sqlite_engine.py`: its statements,
pragmas and transactions on apsw's SQLite, over this disk. What is found afterwards is opened by the
interpreter's own SQLite, which rolls back and recovers as in production.
"""

from pathlib import Path
from typing import Any, Final

import apsw

from tests.faults.faulty_os import FaultyOs
from tests.faults.plan import STOPS, Call, Fault, Stopped
from tests.faults.shadow import Node

_JOURNALS: Final = (
    apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
)
_WROTE: Final = (None, Fault.POWER_KEPT, Fault.POWER_MIXED)


class FaultyVfs(apsw.VFS):
    """Passes through to SQLite's own VFS, counts, fails, and tells the shadow."""

    def __init__(self, name: str, machine: FaultyOs) -> None:
        self.machine = machine
        super().__init__(name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> "FaultyFile":  # noqa: N802  (SQLite's names)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        makes = not path.exists()
        self.enter(Call("xOpen", kind(path), changes=makes, grows=makes))
        file = FaultyFile(self, name, flags, path)
        if makes:
            self.machine.shadow.create(path)
        file.node = self.machine.shadow.node(path)
        return file

    def xDelete(self, name: str, sync_directory: bool) -> None:  # noqa: N802
        path = Path(name)
        fault = self.enter(Call("xDelete", kind(path), changes=True), raising=False)
        if fault in _WROTE:
            super().xDelete(name, False)
            self.machine.shadow.unlink(path)
            if sync_directory:
                self.machine.shadow.sync_names(path.parent)
        self.end(fault)

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802
        self.enter(Call("xAccess", kind(Path(name))))
        return super().xAccess(name, flags)

    def enter(self, call: Call, *, raising: bool = True) -> Fault | None:
        try:
            fault = self.machine.plan.enter(call)
        except Stopped:
            raise apsw.IOError("the machine has stopped") from None
        if raising:
            self.end(fault)
        return fault

    def end(self, fault: Fault | None) -> None:
        """Raise what SQLite is to see. Once all has stopped, every call fails."""
        plan = self.machine.plan
        if fault in STOPS:
            plan.stopped = True
            raise apsw.IOError("the machine has stopped")
        error = plan.error(fault)
        if error is not None:
            raise apsw.FullError("injected") if error.errno == 28 else apsw.IOError("injected")


class FaultyFile(apsw.VFSFile):
    """One open file."""

    node: Node

    def __init__(self, vfs: FaultyVfs, name: Any, flags: list[int], path: Path) -> None:
        self.vfs, self.path = vfs, path
        # As in SQLite's `unixOpen`: whether the file was there does not matter.
        may_make = flags[0] & apsw.SQLITE_OPEN_CREATE
        self._sync_name = bool(may_make and flags[0] & _JOURNALS)
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self.vfs.enter(Call("xRead", kind(self.path)))
        return super().xRead(amount, offset)

    def xFileSize(self) -> int:  # noqa: N802
        self.vfs.enter(Call("xFileSize", kind(self.path)))
        return super().xFileSize()

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        call = Call("xWrite", kind(self.path), changes=True, grows=True, tears=True)
        fault = self.vfs.enter(call, raising=False)
        data = bytes(data)
        if fault in (Fault.KILL, Fault.POWER_LOST):
            data = b""
        elif fault is Fault.KILL_TORN or self.vfs.machine.plan.error(fault) is not None:
            data = data[: len(data) // 2]
        if data:
            super().xWrite(data, offset)
            self.vfs.machine.shadow.write(self.node, offset, data)
        self.vfs.end(fault)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        fault = self.vfs.enter(Call("xTruncate", kind(self.path), changes=True), raising=False)
        if fault in _WROTE:
            super().xTruncate(size)
            self.vfs.machine.shadow.write(self.node, size, None)
        self.vfs.end(fault)

    def xSync(self, flags: int) -> None:  # noqa: N802
        call = Call("xSync", kind(self.path), changes=True, grows=True)
        fault = self.vfs.enter(call, raising=False)
        shadow = self.vfs.machine.shadow
        if fault in (None, Fault.POWER_KEPT):
            shadow.sync(self.node)
            if self._sync_name:  # SQLite's own VFS syncs the directory of a journal, once.
                shadow.sync_names(self.path.parent)
                self._sync_name = False
        elif fault not in STOPS:
            shadow.sync_failed(self.node)
        self.vfs.end(fault)


def kind(path: Path) -> str:
    return path.name
