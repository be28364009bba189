"""The page's files: what is served, with which headers, and nothing else."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from motorcade.api.window import page
from motorcade.api.window.page import SAFE, files_below, served

INDEX = b"<!doctype html><title>Motorcade</title>"
SCRIPT = b"let cars = 1;" * 200


class Asked:
    """A browser's request, as `served` reads it."""

    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "page" / "assets").mkdir(parents=True)
    (tmp_path / "page" / "index.html").write_bytes(INDEX)
    (tmp_path / "page" / "assets" / "app-1a2b.js").write_bytes(SCRIPT)
    (tmp_path / "secret").write_text("not to be served")
    return tmp_path / "page"


def ask(root: Path, name: str, **headers: str) -> Any:
    request: Any = Asked(**headers)
    return served(request, name, root)


def test_the_index_is_asked_about_each_time_and_assets_never_again(root: Path) -> None:
    index, script = ask(root, "index.html"), ask(root, "assets/app-1a2b.js")
    assert (index.content, index.headers["Cache-Control"]) == (INDEX, "no-cache")
    assert script.content == SCRIPT
    assert "immutable" in script.headers["Cache-Control"]
    assert script.media_type.startswith("text/javascript")


def test_what_the_browser_has_is_not_sent_again(root: Path) -> None:
    tag = ask(root, "index.html").headers["ETag"]
    again = ask(root, "index.html", if_none_match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert ask(root, "index.html", if_none_match='"other"').status_code == 200


def test_text_is_packed_for_who_takes_it(root: Path) -> None:
    packed = ask(root, "assets/app-1a2b.js", accept_encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == SCRIPT


@pytest.mark.parametrize("name", ["../secret", "assets/../../secret", "secret", "assets/none.js"])
def test_nothing_else_is_served(root: Path, name: str) -> None:
    assert ask(root, name).status_code == 404


def test_every_answer_carries_the_policy(root: Path, tmp_path: Path) -> None:
    for answer in (
        ask(root, "index.html"),
        ask(root, "none"),
        ask(tmp_path / "empty", "index.html"),
    ):
        assert answer.headers["Content-Security-Policy"] == SAFE["Content-Security-Policy"]
    assert "default-src 'self'" in page.POLICY
    assert "unsafe" not in page.POLICY
    assert "http" not in page.POLICY


def test_a_page_that_was_not_built_says_how(tmp_path: Path) -> None:
    answer = ask(tmp_path / "nowhere", "index.html")
    assert answer.status_code == 503
    assert b"make page" in answer.content
    assert files_below(tmp_path / "nowhere") == {}
