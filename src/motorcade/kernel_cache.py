"""Where compiled kernels are kept, and whether all of them are there. Loads no numba.

The directory is named by a hash of all kernel sources, the versions of numba, llvmlite and numpy,
and the CPU (see `compiled.py`). numba keeps its files apart by the path of the source, and takes
one for stale when the source's time has changed; so does the mark here, which says that
`python -m motorcade.compiled` has run to its end.
"""

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_LOOKED_AT: Final = ("compiled.py", "kernel_cache.py")  # beside the kernels themselves


def kernel_files() -> list[Path]:
    """Every file that may hold a kernel, in a stable order."""
    return sorted([*_PACKAGE.rglob("kernels.py"), *(_PACKAGE / name for name in _LOOKED_AT)])


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    keys = ("model name", "flags", "Features")
    return "".join(sorted({line for line in lines if line.startswith(keys)}))


def _kernels_version() -> str:
    digest = hashlib.sha256()
    for path in kernel_files():
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    for name in ("numba", "llvmlite", "numpy"):
        digest.update(metadata.version(name).encode())
    digest.update(platform.python_version().encode() + _cpu_name().encode())
    return digest.hexdigest()[:20]


KERNELS_VERSION: Final = _kernels_version()


def _cache_root() -> Path:
    base = os.environ.get("MOTORCADE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "motorcade" / "kernels"


CACHE: Final = _cache_root() / KERNELS_VERSION


def is_filled() -> bool:
    """Whether every kernel of this package was compiled, as its sources are now."""
    try:
        return _mark().read_text() == _times()
    except OSError:
        return False


def mark_filled() -> None:
    """Every kernel is there. Raises `OSError`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _mark().write_text(_times())


def _mark() -> Path:
    return CACHE / f"filled-{hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:20]}"


def _times() -> str:
    return " ".join(str(path.stat().st_mtime_ns) for path in kernel_files())
