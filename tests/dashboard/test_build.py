"""The page as it is built: how large it is, and that it needs nothing from outside."""

import gzip
import json
import re
from pathlib import Path

from tests.dashboard.standin import PAGE

ROOT = Path(__file__).parents[2]
BYTES_MAX = 600_000  # gzipped, with MapLibre; the basemap's data counts apart
BASEMAP_BYTES_MAX = 600_000


def packed(folder: Path) -> int:
    return sum(
        len(gzip.compress(path.read_bytes(), 9)) for path in folder.rglob("*") if path.is_file()
    )


def test_the_page_is_small() -> None:
    basemap = packed(PAGE / "basemap")
    assert basemap <= BASEMAP_BYTES_MAX
    whole = packed(PAGE) - basemap
    assert 300_000 < whole <= BYTES_MAX, f"the page has {whole} bytes gzipped"


def test_no_script_or_style_stands_in_the_markup() -> None:
    text = (PAGE / "index.html").read_text()
    assert re.search(r'<script type="module"[^>]* src="/assets/[^"]+"></script>', text)
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]* src=)", text)
    assert not re.search(r'\s(?:style|on[a-z]+)="', text)


def test_files_of_the_page_name_no_other_host_to_load_from() -> None:
    for path in PAGE.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", path.read_text()), path
    assert not re.search(r'(?:src|href)="(?:https?:)?//', (PAGE / "index.html").read_text())


def test_the_lock_names_versions_and_digests_but_no_registry() -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    packages = {name: row for name, row in lock["packages"].items() if name}
    assert len(packages) > 20
    for name, row in packages.items():
        assert "resolved" not in row, f"{name} names where it was loaded from"
        assert row["integrity"].startswith("sha512-"), name


def test_what_runs_in_the_browser_is_what_was_agreed() -> None:
    wanted = json.loads((ROOT / "web" / "package.json").read_text())["dependencies"]
    tools = {"vite", "@sveltejs/vite-plugin-svelte"}
    assert set(wanted) - tools == {
        "@fontsource-variable/inter",
        "maplibre-gl",
        "svelte",
        "uplot",
    }
    assert all(re.fullmatch(r"[0-9.]+", version) for version in wanted.values())
