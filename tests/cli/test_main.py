"""The root command: a help that fits a screen, examples everywhere, honest exit statuses."""

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from motorcade.cli.main import COMMANDS, main, root_help

NO_GROUP = SimpleNamespace(registered_commands=(), registered_groups=())


def calls(app: Any, *words: str) -> Iterator[list[str]]:
    """Every command of a group, and of the groups below it."""
    for command in app.registered_commands:
        yield [*words, command.name or command.callback.__name__.replace("_", "-")]
    for group in app.registered_groups:
        yield [*words, group.name]
        yield from calls(group.typer_instance, *words, group.name)


CALLS = [[name] for name in COMMANDS]
for name, row in COMMANDS.items():
    CALLS += calls(getattr(importlib.import_module(row.module), "app", NO_GROUP), name)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


def test_the_root_help_fits_a_screen_and_names_every_command() -> None:
    lines = root_help().splitlines()
    assert len(lines) < 25
    assert max(map(len, lines)) <= 90
    named = {name for line in lines for name in line.strip().partition("  ")[0].split(", ")}
    assert named >= set(COMMANDS)


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_every_help_has_an_example(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    status, out, _ = run(capsys, *words, "--help")
    assert status == 0
    assert f"Example: motorcade {words[0]}" in out


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from motorcade.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'numpy', 'sqlalchemy', 'cryptography', 'typer', 'rich'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize("module", ["token", "operator", "vehicle", "send", "watch"])
def test_small_commands_load_no_numba(module: str) -> None:
    script = (
        f"import sys, motorcade.cli.{module}\n"
        "import motorcade.identity.tokens, motorcade.registry.embedded\n"
        "sys.exit('numba' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_no_command_is_wrong_usage_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys)[0] == 2


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--version")
    assert (status, out.split()[0]) == (0, "motorcade")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "vehicl", "list")
    assert status == 2
    assert "'vehicle'" in err


def test_an_error_for_people_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    status, out, err = run(capsys, "vehicle", "list", "--data", str(tmp_path))
    assert (status, out) == (1, "")
    assert err.startswith("motorcade vehicle: ")
    assert len(err.splitlines()) == 1


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("motorcade.cli.token")

    def app(**_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(module, "app", app)
    with pytest.raises(KeyError, match="a bug"):
        main(["token"])


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "token", "--no-such-option")[0] == 2
    assert run(capsys, "vehicle", "nothing")[0] == 2
