"""Any byte of any file at rest, flipped: found, named and confined, or of no consequence.

A case makes its files once, undamaged, and says what opening them gives. Then each byte in turn is
flipped in a fresh copy (of long files: the first and last 512, and some in between), and it is
opened again. Either it gives the same; or something was said that names the damaged file, in a log
line or in the error that was raised, and what it still gives is right. Anything else is a finding.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

EDGE_BYTES: Final = 512
BETWEEN: Final = 300  # bytes of a long file, besides its edges


class Case(Protocol):
    """One kind of file, or of directory."""

    name: str

    def make(self, directory: Path) -> None:
        """Write the files as the product does, then end it."""

    def open(self, directory: Path, say: Callable[[str], None]) -> Any:
        """What the product makes of them; what else it says goes to `say`. May raise."""

    def right(self, found: Any, whole: Any) -> bool:
        """Whether `found`, which is not all of `whole`, holds nothing wrong."""


@dataclass
class Result:
    """What came of a case's flips."""

    name: str
    files: int = 0
    flips: int = 0
    harmless: int = 0  # the same came out
    confined: int = 0  # named, the rest is right
    refused: int = 0  # an error that names the file
    failures: list[str] = field(default_factory=list)


def flip_all(case: Case, root: Path, *, stride: int = 1) -> Result:
    """Flip bytes of all files of a case, one at a time. Nothing is raised: see `failures`."""
    origin, copy = root / "whole", root / "copy"
    origin.mkdir(parents=True)
    case.make(origin)
    shutil.copytree(origin, copy)
    whole = _opened(case, copy, [])
    result = Result(case.name)
    for path in sorted(each for each in origin.rglob("*") if each.is_file()):
        name = path.relative_to(origin)
        data = path.read_bytes()
        result.files += bool(data)
        for offset in list(_offsets(len(data)))[::stride]:
            shutil.rmtree(copy)
            shutil.copytree(origin, copy)
            (copy / name).write_bytes(_flipped(data, offset))
            result.flips += 1
            _judge(case, copy, name, offset, whole, result)
    return result


def _offsets(size: int) -> Iterator[int]:
    if size <= 2 * EDGE_BYTES + BETWEEN:
        yield from range(size)
        return
    yield from range(EDGE_BYTES)
    yield from range(EDGE_BYTES, size - EDGE_BYTES, max((size - 2 * EDGE_BYTES) // BETWEEN, 1))
    yield from range(size - EDGE_BYTES, size)


def _flipped(data: bytes, offset: int) -> bytes:
    bit = 1 << (offset * 5 % 8)
    return data[:offset] + bytes([data[offset] ^ bit]) + data[offset + 1 :]


def _judge(case: Case, copy: Path, name: Path, offset: int, whole: Any, result: Result) -> None:
    said: list[str] = []
    where = f"{case.name}: {name}, byte {offset}"
    try:
        found = _opened(case, copy, said)
    except Exception as error:
        if any(name.name in text for text in (str(error), *said)):
            result.refused += 1
        else:
            result.failures.append(f"{where}: not named: {type(error).__name__}: {error}")
        return
    if found == whole:
        result.harmless += 1
    elif not any(name.name in text for text in said):
        result.failures.append(f"{where}: nobody said so, and it gives {str(found)[:200]}")
    elif not case.right(found, whole):
        result.failures.append(f"{where}: wrong: {str(found)[:200]}")
    else:
        result.confined += 1


def _opened(case: Case, directory: Path, said: list[str]) -> Any:
    def note(_logger: object, _method: str, event: Any) -> Any:
        said.append(" ".join(str(value) for value in event.values()))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    try:
        return case.open(directory, said.append)
    finally:
        structlog.configure(**before)
