"""`docs/protocols/mqtt-statements.md` against the tests: each row names tests that exist, none is
missing that a test names, and none stands there twice."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "protocols" / "mqtt-statements.md"
FOLDERS = (ROOT / "tests" / "gateway" / "mqtt", ROOT / "tests" / "wire" / "mqtt")
ROWS_MIN = 120  # what a page that lost its table would not have
NUMBER = re.compile(r"\d+\.\d+(?:\.\d+)?-\d+")


def rows() -> list[tuple[list[str], list[str], str, str]]:
    """(numbers of 5.0, numbers of 3.1.1, rule, shown by) of each row."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "5.0":
            found.append((numbers(cells[0]), numbers(cells[1]), cells[2], cells[3]))
    return found


def numbers(cell: str) -> list[str]:
    if cell == "-":
        return []
    found = cell.split(", ")
    assert all(NUMBER.fullmatch(each) for each in found), cell
    return found


@cache
def names_in(file: str) -> frozenset[str]:
    paths = [folder / f"test_{file}.py" for folder in FOLDERS]
    (path,) = (path for path in paths if path.exists())
    return frozenset(
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    )


def test_every_row_names_tests_that_exist_or_says_why_there_is_none() -> None:
    table = rows()
    assert len(table) > ROWS_MIN
    for new, old, rule, shown in table:
        assert new or old, rule
        named = re.findall(r"(\w+): (test_\w+)", shown)
        assert named or len(shown) > 10, rule
        for file, name in named:
            assert name in names_in(file), f"{rule}: {file}: {name} does not exist"


def test_no_statement_stands_twice() -> None:
    for version in (0, 1):
        listed = [number for row in rows() for number in row[version]]
        twice = {number for number in listed if listed.count(number) > 1}
        assert not twice


def test_every_statement_that_a_test_or_the_code_names_is_listed() -> None:
    listed = {number for row in rows() for number in (*row[0], *row[1])}
    for folder in (*FOLDERS, ROOT / "src" / "motorcade"):
        for path in folder.rglob("*.py"):
            for number in re.findall(r"MQTT-(\d+\.\d+(?:\.\d+)?-\d+)", path.read_text()):
                assert number in listed, f"{path}: {number}"
