"""`python -m tests.fuzz.one TARGET CPU_S CORPUS SEED`: one target, guided by coverage, for so long.

With NUMBA_DISABLE_JIT=1 the kernels run as the Python they are written in, so that the fuzzer sees
their branches; without, compiled as in production. Writes what opened new branches to CORPUS, an
input that broke a promise to `CORPUS/../finding-*`, and prints one line of JSON at its end.
"""

import ctypes
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import atheris

MEMORY_MIB_MAX: Final = 2_048
INPUT_CPU_S_MAX: Final = 20.0  # the slowest first call compiles
_NEVER_S: Final = 10**8  # on the wall's clock, which goes on while a machine or a process pauses
_AS_PYTHON: Final = os.environ.get("NUMBA_DISABLE_JIT") == "1"


def main() -> None:
    name, cpu_s, corpus, seed = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    modules = _modules_of(name)
    with atheris.instrument_imports(
        include=["motorcade"], exclude=_others(modules), enable_loader_override=False
    ):
        for module in modules:
            importlib.import_module(module)
        from tests.fuzz.table import TARGETS
    target = TARGETS[name]
    for data in target.seeds():
        target.run(data)  # compiles what it calls, before the clock runs
    runs, started_s = 0, time.process_time()

    def one(data: bytes) -> None:
        nonlocal runs
        if time.process_time() - started_s >= cpu_s:
            print(json.dumps({"runs": runs}), flush=True)
            os._exit(0)  # libFuzzer has no other end than a number of runs or seconds
        runs += 1
        signal.setitimer(signal.ITIMER_VIRTUAL, INPUT_CPU_S_MAX)
        target.run(data)

    options = [f"-max_len={target.bytes_max}", f"-rss_limit_mb={MEMORY_MIB_MAX}", f"-seed={seed}"]
    options += [f"-timeout={_NEVER_S}", f"-report_slow_units={_NEVER_S}"]
    options += [f"-artifact_prefix={corpus.parent}/finding-"]
    if not _AS_PYTHON:  # a shorter input that opens as much here may open less in the kernels
        options.append("-reduce_inputs=0")
    _abort_on_endless_input()
    atheris.Setup([sys.argv[0], str(corpus), *options], one, enable_python_coverage=True)
    atheris.Fuzz()


def _abort_on_endless_input() -> None:
    """In place of libFuzzer's own limit, which the clock on the wall would reach.

    From C, because a handler in Python never runs while a kernel loops.
    """
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal(signal.SIGVTALRM, ctypes.cast(libc.abort, ctypes.c_void_p))


def _others(modules: list[str]) -> list[str]:
    """Every other module of ours: numba compiles no instrumented kernel."""
    found = importlib.util.find_spec("motorcade")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    paths = (path.relative_to(package.parent) for path in package.rglob("*.py"))
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return sorted(names - set(modules))


def _modules_of(name: str) -> list[str]:
    """Read from a fresh process: once imported, a module is not instrumented any more."""
    script = f"from tests.fuzz.table import TARGETS; print(*TARGETS[{name!r}].modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    modules = told.stdout.split()
    return modules if _AS_PYTHON else [m for m in modules if not m.endswith(".kernels")]


if __name__ == "__main__":
    main()
