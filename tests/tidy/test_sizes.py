"""Sizes that keep code readable: lines of a file, of a function, columns of a line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.project_files import files_with, read
from tests.tidy.rust_text import code_only, functions

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70
TEST_FUNCTION_LINES_MAX = 100  # tables of cases
COLUMNS_MAX = 100

# Path -> (lines allowed, date granted, why). An entry that is no longer needed fails the test.
LONG_FILES: dict[str, tuple[int, str, str]] = {}
# "path::function" -> (lines allowed, date granted, why).
LONG_FUNCTIONS: dict[str, tuple[int, str, str]] = {}

CODE = (".py", ".pyi", ".rs", ".sh", ".ts", ".tsx", ".css")


def python_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of code lines (no blanks, comments, docstring) of each one."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        skipped: set[int] = set()
        if ast.get_docstring(node) is not None:
            text = node.body[0]
            skipped.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
        span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        count = sum(
            1
            for number in span
            if number not in skipped
            and (line := lines[number - 1].strip())
            and not line.startswith("#")
        )
        yield node.name, node.lineno, count


def too_long(
    found: dict[str, int], limit: int, exceptions: dict[str, tuple[int, str, str]]
) -> list[str]:
    """What exceeds its limit, and exceptions that nothing needs any more."""
    wrong = [
        f"{name}: {count} lines, allowed {exceptions.get(name, (limit,))[0]}"
        for name, count in found.items()
        if count > exceptions.get(name, (limit,))[0]
    ]
    return wrong + [
        f"{name}: the exception of {date} is not needed any more"
        for name, (_, date, _) in exceptions.items()
        if found.get(name, 0) <= limit
    ]


def test_no_file_is_too_long() -> None:
    found = {str(path): len(read(path).splitlines()) for path in files_with(*CODE)}
    assert found
    assert too_long(found, FILE_LINES_MAX, LONG_FILES) == []


@pytest.mark.parametrize(
    ("in_tests", "limit"), [(False, FUNCTION_LINES_MAX), (True, TEST_FUNCTION_LINES_MAX)]
)
def test_no_function_is_too_long(in_tests: bool, limit: int) -> None:
    found: dict[str, int] = {}
    for path in files_with(".py", ".rs"):
        if ("tests" in path.parts) is not in_tests:
            continue
        finder = python_functions if path.suffix == ".py" else functions
        for name, _, count in finder(read(path)):
            key = f"{path}::{name}"
            found[key] = max(count, found.get(key, 0))
    assert len(found) > 1
    exceptions = {
        key: value
        for key, value in LONG_FUNCTIONS.items()
        if ("tests" in Path(key.split("::")[0]).parts) is in_tests
    }
    assert too_long(found, limit, exceptions) == []


def test_no_line_is_too_wide() -> None:
    names = (*CODE, "pyproject.toml", "Cargo.toml", "clippy.toml", "Makefile", ".ci/run")
    wide = [
        f"{path}:{number}: {len(line)} columns"
        for path in files_with(*names)
        for number, line in enumerate(read(path).splitlines(), 1)
        if len(line) > COLUMNS_MAX and "://" not in line
    ]
    assert wide == []


def test_the_counters_count() -> None:
    rust = "\n".join(
        [
            "fn short() -> [u8; 2] { [1, 2] }",
            "trait T { fn declared(&self); }",
            "fn long() {",
            "    // a comment } with a brace",
            "",
            '    let s = "}"; let c = \'}\'; let r = r#"}"#; /* } */',
            "    if s.is_empty() { return; }",
            "}",
        ]
    )
    assert list(functions(rust)) == [("short", 1, 1), ("long", 3, 4)]
    assert "brace" not in code_only(rust)
    python = 'def f():\n    """Text.\n\n    More.\n    """\n    # comment\n\n    return 1\n'
    assert list(python_functions(python)) == [("f", 1, 2)]
    assert too_long({"a": 5, "b": 1}, 4, {"b": (9, "2026-01-01", "why")}) == [
        "a: 5 lines, allowed 4",
        "b: the exception of 2026-01-01 is not needed any more",
    ]


def test_exceptions_name_files_that_exist() -> None:
    for name in [*LONG_FILES, *(key.split("::")[0] for key in LONG_FUNCTIONS)]:
        assert Path(name) in files_with(".py", ".rs"), name
