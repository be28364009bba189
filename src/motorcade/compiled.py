"""The one door to numba: `@kernel`, the cache keyed by every kernel's source, and warming up.

Kernels live in files named `kernels.py`, and nowhere else. numba's file cache
misses edits in callees of other files (measured, design §5.2), so the cache directory is named by a
hash of all kernel sources, the versions of numba, llvmlite and numpy, and the CPU. The same hash is
an operator's version: `KERNELS_VERSION`.

Import numba through this module only: the directory must be set before numba is first imported.
"""

import fcntl
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from motorcade.kernel_cache import CACHE, KERNELS_VERSION, kernel_files, mark_filled

__all__ = ["KERNELS_VERSION", "kernel_files"]

os.environ["NUMBA_CACHE_DIR"] = str(CACHE)

import numba
import numba.core.cgutils
from numba import extending

Decorator = Callable[[Callable[..., Any]], Any]
cgutils: Any = numba.core.cgutils  # numba's extension interface is only half typed
intrinsic: Decorator = cast(Decorator, extending.intrinsic)
overload: Callable[[Callable[..., Any]], Decorator] = cast(Any, extending.overload)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a plain function over numpy arrays: no GIL, no fastmath, cached on disk.

    `function.py_func` stays the readable Python, which tests use as a second opinion.
    """
    return cast(
        Callable[..., Any], numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    )


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that becomes part of its callers: for small ones on the hot road."""
    return cast(
        Callable[..., Any],
        numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function),
    )


def borrowed(array: Any) -> Any:
    """The same array, uncounted, for use within one call; the caller keeps it alive.

    In kernels every hand-over of an array to another kernel counts references by atomic operations.
    On the hot road they came to more than all the work; counting nothing costs nothing.
    """
    return array


@intrinsic
def _without_owner(_typing: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (array_type,) = signature.args
        view = context.make_array(array_type)(context, builder, arguments[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return array(array), generate


@overload(borrowed)
def _borrowed(array: Any) -> Any:
    def view(array: Any) -> Any:
        return _without_owner(array)

    return view


def copy_bytes(source: Any, start: int, target: Any, to: int, size: int) -> None:
    """Copy `source[start:start + size]` (uint8) to `target[to:]`; the caller has checked bounds.

    In kernels this is `memcpy`: a loop or a slice costs a byte per cycle there, because numba
    cannot rule out that the two arrays overlap.
    """
    target[to : to + size] = source[start : start + size]


@intrinsic
def _memcpy(_typing: Any, source: Any, start: Any, target: Any, to: Any, size: Any) -> Any:
    signature = numba.types.void(source, start, target, to, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_type, start_type, target_type, to_type, size_type = signature.args
        places = []
        for array, array_type, offset, offset_type in (
            (arguments[0], source_type, arguments[1], start_type),
            (arguments[2], target_type, arguments[3], to_type),
        ):
            data = context.make_array(array_type)(context, builder, array).data
            wide = context.cast(builder, offset, offset_type, numba.types.intp)
            places.append(builder.gep(data, [wide]))
        wide_size = context.cast(builder, arguments[4], size_type, numba.types.intp)
        cgutils.raw_memcpy(builder, places[1], places[0], wide_size, 1)
        return context.get_dummy_value()

    return signature, generate


@overload(copy_bytes)
def _copy_bytes(source: Any, start: Any, target: Any, to: Any, size: Any) -> Any:
    def copy(source: Any, start: Any, target: Any, to: Any, size: Any) -> None:
        _memcpy(source, start, target, to, size)

    return copy


def warm() -> None:
    """Call every module's `warm()` once, on production types: that fills the cache."""
    for dotted in _kernel_modules():
        importlib.import_module(dotted).warm()


def fill() -> None:
    """Fill the cache, one process at a time: numba's files have no lock against two that write."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        warm()
        mark_filled()


def warm_imported() -> None:
    """Call `warm()` of every kernel module that this process has imported.

    A first call stalls a process for 0.3-0.5 s even when the code is cached (design §5.2), so every
    process does this before it reports ready. What it never imports it never calls.
    """
    for dotted in _kernel_modules():
        if dotted in sys.modules:
            sys.modules[dotted].warm()


def _kernel_modules() -> list[str]:
    above = Path(__file__).parent.parent
    files = [path for path in kernel_files() if path.name == "kernels.py"]
    return [".".join(path.relative_to(above).with_suffix("").parts) for path in files]


if __name__ == "__main__":
    fill()
