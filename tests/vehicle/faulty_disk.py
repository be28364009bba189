"""A car's storage that loses power at a chosen moment, as the rules in `disk.py` allow it to."""

import numpy as np

from motorcade.vehicle.disk import MemoryDisk


class PowerCutError(Exception):
    """The power is gone; only `after_cut` goes on from here."""


class FaultyDisk(MemoryDisk):
    """Counts changes; in the `cut_at`th the power fails, half way through it."""

    def __init__(self, files: dict[str, bytes] | None = None, *, cut_at: int = -1) -> None:
        super().__init__()
        self.files = {name: bytearray(content) for name, content in (files or {}).items()}
        self._durable = dict(files or {})
        self._removed: dict[str, bytes] = {}
        self._cut_at = cut_at
        self.changes = 0

    def append(self, name: str, data: bytes) -> None:
        self._change()
        super().append(name, data)
        self._cut_here()

    def sync(self, name: str) -> None:
        self._change()
        self._cut_here()
        super().sync(name)
        self._durable[name] = bytes(self.files[name])

    def truncate(self, name: str, size: int) -> None:
        self._change()
        self._cut_here()
        super().truncate(name, size)
        self._durable[name] = bytes(self.files[name])

    def replace(self, name: str, data: bytes) -> None:
        self._change()
        self._cut_here()
        super().replace(name, data)
        self._durable[name] = data

    def remove(self, name: str) -> None:
        self._change()
        if name in self._durable:
            self._removed[name] = self._durable.pop(name)
        super().remove(name)
        self._cut_here()

    def after_cut(self, seed: int) -> dict[str, bytes]:
        """What is found when the power is back: everything synced, and any part of the rest."""
        random = np.random.default_rng(seed)
        found: dict[str, bytes] = {}
        for name, content in self.files.items():
            durable = self._durable.get(name)
            if durable is None and random.random() < 0.5:
                continue  # a new file whose directory entry was not synced
            kept = len(durable or b"")
            more = int(random.integers(0, len(content) - kept + 1)) if len(content) > kept else 0
            found[name] = bytes(content[: kept + more])
            if more and random.random() < 0.3:  # the last page came as something else
                found[name] = found[name][:-1] + bytes((found[name][-1] ^ 0x5A,))
        for name, content in self._removed.items():
            if name not in found and random.random() < 0.5:
                found[name] = content
        return found

    def _change(self) -> None:
        self.changes += 1

    def _cut_here(self) -> None:
        if self.changes == self._cut_at:
            raise PowerCutError
