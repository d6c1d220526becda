"""Names end in their unit, and the units are ours.

`_mw` is banned everywhere (milli or mega?). Kilowatts and per cent are for people, so they stay at
the edges (commands, API, site-facing reports); inside, watts and ratios. Units are written as the
glossary abbreviates them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.project_files import files_with, read
from tests.tidy.rust_text import code_only

# Keys that the result document and the site file fixed.
FIXED = {"energy_kwh", "penalty_per_kwh"}
EDGES = ("python/karman_grid/cli/", "python/karman_grid/api/", "tests/")

BANNED_ANYWHERE = re.compile(
    r"_(mw|mws|watts|kilowatts|volts|amps|amperes|hertz|joules|percent|percentage|msec|usec|msecs)$"
)
BANNED_INSIDE = re.compile(r"_(kw|kwh|kva|mva|kv|pct)$")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def python_names(source: str) -> Iterator[str]:
    """Every identifier a Python file uses or defines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def toml_keys(source: str) -> Iterator[str]:
    """Every bare key of a TOML file, inline tables included."""
    for line in source.splitlines():
        if not line.lstrip().startswith("#"):
            yield from re.findall(r"([A-Za-z_][A-Za-z0-9_]*)\s*=", line)


def names_of(path: Path, source: str) -> Iterator[str]:
    """The identifiers of a file, by its kind."""
    if path.suffix == ".toml":
        return toml_keys(source)
    if path.suffix == ".rs":
        return iter(WORD.findall(code_only(source)))
    return python_names(source)


def banned(path: str, names: Iterator[str]) -> list[str]:
    """The names that break the rules, as `path: name`."""
    inside = not path.startswith(EDGES)
    return sorted(
        {
            f"{path}: {name}"
            for name in names
            if name not in FIXED
            and (
                BANNED_ANYWHERE.search(name.lower())
                or (inside and BANNED_INSIDE.search(name.lower()))
            )
        }
    )


def test_names_carry_our_units() -> None:
    files = files_with(".py", ".pyi", ".rs", ".toml")
    assert files
    assert [line for path in files for line in banned(str(path), names_of(path, read(path)))] == []


def test_banned_names_are_seen() -> None:
    rust = "let load_mw = 1; // fine_mw in a comment\nlet peak_kw = 2; let energy_kwh = 3;"
    inside = Path("rust/karman-grid-core/src/a.rs")
    assert banned(str(inside), names_of(inside, rust)) == [
        f"{inside}: load_mw",
        f"{inside}: peak_kw",
    ]
    edge = Path("python/karman_grid/cli/a.py")
    assert banned(str(edge), names_of(edge, "def f(load_kw): return x.load_mw")) == [
        f"{edge}: load_mw"
    ]
    site = Path("deploy/sites/a.toml")
    assert banned(str(site), names_of(site, "a = {rating_mw = 3}\n# b_mw = 1")) == [
        f"{site}: rating_mw"
    ]
