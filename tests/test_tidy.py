"""Form as a test: who may import whom, where time and chance may be read, no dead files.

The rules are house style's and design §3's; a new exception goes into a table here, with its why.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "motorcade"
MODULES = sorted(path for path in SRC.rglob("*.py") if "migrations" not in path.parts)

SHARED = {
    "events",
    "signals",
    "clock",
    "config",
    "compiled",
    "counts",
    "durable",
    "kernel_cache",
    "kernels",
    "wire",
    "zones",
    "__init__",
}
"""What the vehicle and the cloud folders both may use."""

CLOUD_SHARED = {"at_rest"}
"""What every cloud folder may use: registry, commands and gateway each keep a SQLite file."""

CLOUD = {"gateway", "log", "streams", "state", "registry", "identity", "commands", "api", "meters"}
CLOUD |= {"history"}
PORTS = {"port", "errors", "topics"}
"""The modules of a cloud folder that other cloud folders may see."""

OPEN_DOORS = {
    ("state", "streams.dedup"),  # the first operator of every reader is an operator, not an engine
    ("api", "history.buckets"),  # down-sampling is a question of the route's, not an engine's
    ("api", "history.export"),  # files are written alike for apps and the command line
    ("api", "history.formats"),
    ("api", "history.area"),  # what a question is about
    ("api", "streams.chain"),  # why a value is so: the command line tells the same
    ("api", "commands"),  # the counter stands before the router; both run in one process
    ("api", "identity.tokens"),  # bearer tokens are checked where they arrive
    ("api", "identity.region"),  # tokens and answers name the same region
    ("api", "identity.scopes"),  # a table: what apps ask for and people grant
    ("registry", "identity.scopes"),
    ("api", "registry.people.port"),  # people and apps: the registry's second port
    ("api", "registry.sharing.port"),  # who drives what, which app is registered: its third
    ("api", "registry.signing.port"),  # key lists: its third
    ("commands", "registry.signing.port"),
    ("api", "registry.accesses.port"),  # what apps asked
    ("api", "registry.audit.port"),  # what people did
    ("api", "registry.work.port"),  # what people noted on the work queue
    ("api", "registry.privacy.port"),  # what owners keep from apps
    ("api", "state.columns"),  # the names of states, judged there
    ("api", "registry.people.names"),  # what a redirect URI is, registered and compared
}
"""(folder, module or folder of another cloud folder it may import beyond the ports)."""

ROOTS = {"app", "roles", "backup", "cli", "doctor", "metrics", "supervisor", "nursery", "logs"}
ROOTS |= {"traces", "sandbox", "pytest_plugin"}
"""Composition: may import engines, read the clock and draw chance. Nobody imports them.
`backup` copies what every engine stored, so it knows them all; `metrics` reads what every part
counts about itself, and no part knows of it; `doctor` looks at all of it from outside; `sandbox` is
the platform composed anew, with cars in hand."""

NO_IO_IN_WIRE = {
    *("asyncio", "io", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil"),
    *("signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid", "uvloop"),
}
TIME_AND_CHANCE = {"time", "random", "secrets", "uuid", "datetime"}
MAY_READ_TIME_AND_CHANCE = {"clock"}
SECONDS_ONLY = {("datetime", "registry"), ("datetime", "identity"), ("datetime", "zones")}
SECONDS_ONLY |= {("datetime", "api")}  # calendars: the oauth pages and the histories

"""`datetime` as a type, where a library demands it: X.509, SQL columns, time zones."""


def imports(path: Path) -> set[str]:
    """Every module that `path` imports, dotted; TYPE_CHECKING blocks count too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the module's full name"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def place(path: Path) -> tuple[str, ...]:
    return path.relative_to(SRC).with_suffix("").parts


def ours(path: Path) -> set[str]:
    """The package's own modules that `path` imports, without the leading `motorcade.`."""
    prefix = "motorcade."
    return {name.removeprefix(prefix) for name in imports(path) if name.startswith(prefix)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(place(path)))
def test_imports_follow_the_road(path: Path) -> None:
    folder = place(path)[0]
    if folder in ROOTS:
        return
    for name in sorted(ours(path)):
        other, _, rest = name.partition(".")
        assert other not in ROOTS, f"{path}: {name}: only the composition root knows the root"
        if other == folder or other in SHARED:
            continue
        if other in CLOUD_SHARED and folder in CLOUD:
            continue
        assert folder != "wire", f"{path}: wire is sans-IO and knows only what is shared: {name}"
        assert folder != "vehicle", f"{path}: the car shares only {sorted(SHARED)}: {name}"
        assert folder not in SHARED, f"{path}: {folder} is below every folder, not above {name}"
        allowed = rest.split(".")[0] in PORTS or any(
            name == door or name.startswith(door + ".") for who, door in OPEN_DOORS if who == folder
        )
        assert allowed or not rest, f"{path}: {name} is not a port of {other}/"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(place(path)))
def test_wire_does_no_io_and_deciding_code_reads_no_clock(path: Path) -> None:
    folder = place(path)[0]
    tops = {name.split(".")[0] for name in imports(path)}
    if folder == "wire":
        assert not tops & NO_IO_IN_WIRE, f"{path}: wire imports {tops & NO_IO_IN_WIRE}"
    if folder in ROOTS or folder in MAY_READ_TIME_AND_CHANCE:
        return
    read = {name for name in tops & TIME_AND_CHANCE if (name, folder) not in SECONDS_ONLY}
    assert not read, f"{path}: time and chance are arguments, but it imports {sorted(read)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(place(path)))
def test_numba_only_behind_its_one_door(path: Path) -> None:
    if place(path) != ("compiled",):
        assert "numba" not in {name.split(".")[0] for name in imports(path)}, path


def test_no_dead_files() -> None:
    known: set[str] = set()
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        known |= {name for name in imports(path) if name.startswith("motorcade")}
    started_by_name = {"kernels", "main", "__init__", "__main__", "env"}
    text = "\n".join(path.read_text() for path in [*MODULES, ROOT / "pyproject.toml"])
    for path in MODULES:
        dotted = "motorcade." + ".".join(place(path))
        if place(path)[-1] not in started_by_name and dotted not in known:
            assert re.search(rf"[\"']{re.escape(dotted)}\b", text), f"{path}: unused"


def test_nothing_names_a_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # "/work/{id}" is an address of the page, `/work/${id}` and "/work/1" in its sources and tests;
    # what stands after a word, as in `api/work/`, is no path from the root.
    machines = r"(?<!\w)/(?:root|work(?!/\$?\{|/1\b)|opt/wheels)/"
    forbidden = re.compile(machines + r"|pypi\.org|files\.pythonhosted")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        found = forbidden.search(path.read_bytes().decode("utf-8", "replace"))
        assert not found, f"{name} names {found.group() if found else ''}"


def _log_calls(path: Path) -> list[ast.Call]:
    """Calls of a module's own structlog logger."""
    levels = {"debug", "info", "warning", "error", "critical", "exception"}
    return [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("logger", "_log")
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(place(path)))
def test_log_events_are_words_and_no_field_is_a_vin(path: Path) -> None:
    for call in _log_calls(path):
        event = call.args[0]
        assert isinstance(event, ast.Constant), f"{path}:{call.lineno}: a constant names the event"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", str(event.value)), f"{path}: {event.value!r}"
        assert "vin" not in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"
