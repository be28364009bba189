"""The doorbell: a datagram without payload that tells readers in other processes to look.

Each reader binds a Unix socket in the doorbell directory, named by its topics, and a writer rings
those that read what it has committed: waking up to find nothing costs more than a small commit. A
ring carries nothing and may be lost: readers also look every `log.reader_poll_ms`, and for new
writers every second. Sockets are no stored bytes, so they do not pass through the file layer.

Addresses go through `/proc/self/fd`, because a socket's path has at most 107 bytes and a data
directory may be deeper.
"""

import itertools
import os
import select
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from motorcade.clock import Clock
from motorcade.events import Topic

_RELIST_S: Final = 1.0  # the directory's change time may miss a socket made in the same tick
_BITS: Final = {str(topic.value): 1 << topic for topic in Topic}
_numbers = itertools.count()


class Doorbell:
    """A reader's end."""

    def __init__(self, directory: Path, topics: Iterable[Topic]) -> None:
        numbers = "+".join(str(topic.value) for topic in sorted(topics))
        self._path = directory / f"{numbers}.{os.getpid()}.{next(_numbers)}"
        self._path.unlink(missing_ok=True)  # Of an earlier process with our number.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._socket.bind(f"/proc/self/fd/{fd}/{self._path.name}")
        finally:
            os.close(fd)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait(self, timeout_s: float) -> bool:
        """Return when it has rung, or False after `timeout_s`."""
        return bool(self._poll.poll(max(0.0, timeout_s) * 1_000))

    def clear(self) -> bool:
        """Forget the rings so far, and say whether there were any. Do it before looking, so that
        none is missed."""
        rung = False
        try:
            while True:
                self._socket.recv(1)
                rung = True
        except BlockingIOError:
            return rung

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.close()


class _Bell(NamedTuple):
    """A reader as its writers know it."""

    socket: socket.socket
    topics: int  # bit set


class Ringer:
    """A writer's end. One thread at a time."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._bells: dict[str, _Bell] = {}
        self._changed_ns = -1
        self._listed_s = 0.0

    def ring(self, topics: int) -> None:
        """Ring who reads any of `topics`, a bit set; never waits, never fails. Readers that are
        gone are forgotten."""
        self._refresh()
        for name, (bell, wanted) in list(self._bells.items()):
            if not wanted & topics:
                continue
            try:
                bell.send(b"\0")
            except BlockingIOError:
                continue  # So many rings wait there that it will come.
            except OSError:
                self._forget(name)
                (self._directory / name).unlink(missing_ok=True)

    def close(self) -> None:
        for name in list(self._bells):
            self._forget(name)
        os.close(self._fd)

    def _refresh(self) -> None:
        changed_ns = os.fstat(self._fd).st_mtime_ns
        now_s = self._clock.monotonic_s()
        if changed_ns == self._changed_ns and now_s - self._listed_s < _RELIST_S:
            return
        self._changed_ns, self._listed_s = changed_ns, now_s
        names = set(os.listdir(self._fd))
        for name in self._bells.keys() - names:
            self._forget(name)
        for name in names - self._bells.keys():
            topics = _topics_of(name)
            if topics:
                self._connect(name, topics)

    def _connect(self, name: str, topics: int) -> None:
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            bell.connect(f"/proc/self/fd/{self._fd}/{name}")
        except ConnectionRefusedError:  # Its process has died.
            bell.close()
            (self._directory / name).unlink(missing_ok=True)
        except OSError:
            bell.close()
        else:
            self._bells[name] = _Bell(bell, topics)

    def _forget(self, name: str) -> None:
        self._bells.pop(name).socket.close()


def _topics_of(name: str) -> int:
    """The bit set of a bell's topics; 0 for a file that is no bell."""
    numbers = name.partition(".")[0].split("+")
    return sum(_BITS.get(number, 0) for number in set(numbers))
