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
NUMBER = re.compile(r"\d+\.\d+\.\d+-\d+")
# How many statements each section has, by Appendix B of the OASIS Standards of 2019 and of 2014.
LAST_OF_5_0 = {
    **{"1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 6, "2.2.2": 1},
    **{"3.1.0": 2, "3.1.2": 30, "3.1.3": 12, "3.1.4": 6, "3.2.0": 2, "3.2.2": 22},
    **{"3.3.1": 13, "3.3.2": 20, "3.3.4": 10, "3.4.2": 3, "3.5.2": 3, "3.6.1": 1, "3.6.2": 3},
    **{"3.7.2": 3, "3.8.1": 1, "3.8.3": 5, "3.8.4": 8, "3.9.2": 2, "3.9.3": 2},
    **{"3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.11.2": 2, "3.11.3": 2, "3.12.4": 1},
    **{"3.14.0": 1, "3.14.1": 1, "3.14.2": 4, "3.14.4": 3, "3.15.1": 1, "3.15.2": 3},
    **{"4.1.0": 2, "4.2.0": 1, "4.3.1": 1, "4.3.2": 5, "4.3.3": 13, "4.4.0": 2, "4.5.0": 2},
    **{"4.6.0": 6, "4.7.0": 1, "4.7.1": 2, "4.7.2": 1, "4.7.3": 4, "4.8.2": 6, "4.9.0": 3},
    **{"4.12.0": 7, "4.12.1": 2, "4.13.1": 1, "4.13.2": 1, "6.0.0": 4},
}
NOT_IN_5_0 = {"2.2.1-1"}
OF_CLIENTS_ALONE_5_0 = {
    *("3.1.2-20", "3.1.2-30", "3.2.2-4", "3.2.2-5", "3.2.2-11", "3.2.2-14", "3.3.2-10"),
    *("3.3.4-8", "4.12.0-3", "4.12.1-1"),
}
LAST_OF_3_1_1 = {
    **{"1.5.3": 3, "2.2.2": 2, "2.3.1": 7},
    **{"3.1.0": 2, "3.1.2": 24, "3.1.3": 11, "3.1.4": 5, "3.2.0": 1, "3.2.2": 6},
    **{"3.3.1": 12, "3.3.2": 3, "3.3.4": 1, "3.3.5": 2, "3.6.1": 1},
    **{"3.8.1": 1, "3.8.3": 4, "3.8.4": 6, "3.9.3": 2},
    **{"3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.12.4": 1, "3.14.1": 1, "3.14.4": 3},
    **{"4.1.0": 2, "4.3.1": 1, "4.3.2": 2, "4.3.3": 2, "4.4.0": 1, "4.5.0": 2, "4.6.0": 6},
    **{"4.7.1": 3, "4.7.2": 1, "4.7.3": 4, "4.8.0": 2},
    **{"6.0.0": 4, "7.0.0": 2, "7.1.1": 1, "7.1.2": 1},
}
OF_CLIENTS_ALONE_3_1_1 = {"3.1.2-23", "3.14.4-1", "3.14.4-2", "7.1.2-1"}


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


def known(last_of: dict[str, int]) -> set[str]:
    return {f"{part}-{n}" for part, last in last_of.items() for n in range(1, last + 1)}


def test_every_statement_of_5_0_is_listed_that_is_not_of_clients_alone() -> None:
    there_are = known(LAST_OF_5_0) - NOT_IN_5_0
    assert len(there_are) == 251
    listed = {number for row in rows() for number in row[0]}
    assert listed == there_are - OF_CLIENTS_ALONE_5_0


def test_every_statement_of_3_1_1_is_listed_that_is_not_of_clients_alone() -> None:
    listed = {number for row in rows() for number in row[1]}
    assert listed == known(LAST_OF_3_1_1) - OF_CLIENTS_ALONE_3_1_1


def test_the_head_of_the_page_names_those_of_clients_alone() -> None:
    head = " ".join(PAGE.read_text().partition("\n|")[0].split())
    for version, numbers in (("5.0", OF_CLIENTS_ALONE_5_0), ("3.1.1", OF_CLIENTS_ALONE_3_1_1)):
        (named,) = re.findall(rf"{re.escape(version)}: ((?:[\d.]+-\d+(?:, )?)+)", head)
        assert set(named.split(", ")) == numbers


def test_every_statement_that_a_test_or_the_code_names_is_listed() -> None:
    listed = {number for row in rows() for number in (*row[0], *row[1])}
    for folder in (*FOLDERS, ROOT / "src" / "motorcade"):
        for path in folder.rglob("*.py"):
            for number in re.findall(r"MQTT-(\d+\.\d+\.\d+-\d+)", path.read_text()):
                assert number in listed, f"{path}: {number}"
