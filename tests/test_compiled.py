"""The kernel cache is keyed by every kernel's source, so an edit can never run stale code."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import motorcade
from motorcade import compiled
from motorcade.compiled import KERNELS_VERSION, kernel_files

PACKAGE = Path(motorcade.__file__).parent


def version_with(package: Path) -> str:
    """`KERNELS_VERSION` of a copy of the package."""
    source = "from motorcade.compiled import KERNELS_VERSION; print(KERNELS_VERSION)"
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def copy_of_package(tmp_path: Path) -> Path:
    package = tmp_path / "motorcade"
    for path in [PACKAGE / "__init__.py", *kernel_files()]:
        target = package / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return package


def test_an_edit_in_any_kernel_file_names_another_cache(tmp_path: Path) -> None:
    package = copy_of_package(tmp_path)
    assert version_with(package) == KERNELS_VERSION
    for path in sorted(package.rglob("kernels.py")):
        before = path.read_bytes()
        path.write_bytes(before + b"# edited\n")
        assert version_with(package) != KERNELS_VERSION, path
        path.write_bytes(before)
    assert version_with(package) == KERNELS_VERSION


def test_the_cache_directory_is_set_and_holds_the_version() -> None:
    assert Path(os.environ["NUMBA_CACHE_DIR"]).name == KERNELS_VERSION


def test_the_cache_is_full_when_it_was_filled_from_these_very_files(tmp_path: Path) -> None:
    package = copy_of_package(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "MOTORCADE_CACHE": str(tmp_path)}

    def said(program: str) -> str:
        source = f"from motorcade.kernel_cache import is_filled, mark_filled; {program}"
        command = [sys.executable, "-c", source]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert said("print(is_filled())") == "False"
    assert said("mark_filled(); print(is_filled())") == "True"
    assert said("print(is_filled())") == "True"
    os.utime(package / "log" / "kernels.py", (1, 1))  # numba takes its files for stale then
    assert said("print(is_filled())") == "False"
    assert said("import sys; print('numba' in sys.modules)") == "False"


def test_a_process_warms_the_kernels_that_it_has_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[str] = []
    for path in kernel_files():
        if path.name == "kernels.py":
            words = path.relative_to(PACKAGE.parent).with_suffix("").parts
            monkeypatch.delitem(sys.modules, ".".join(words), raising=False)
    for name in ("motorcade.kernels", "motorcade.log.kernels"):
        stub = SimpleNamespace(warm=lambda name=name: warmed.append(name))
        monkeypatch.setitem(sys.modules, name, stub)
    compiled.warm_imported()
    assert sorted(warmed) == ["motorcade.kernels", "motorcade.log.kernels"]
