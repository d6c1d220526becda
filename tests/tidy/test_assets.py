"""What building makes is not committed, and neither is anything large."""

import re
from pathlib import Path

from tests.tidy.project_files import ROOT, project_files

FILE_BYTES_MAX = 1_000_000
MADE = re.compile(
    r"(\.so|\.pyd|\.dylib|\.pyc|\.whl|\.egg-info|\.tsbuildinfo)$"
    r"|(^|/)(node_modules|target|dist|build|__pycache__|web/static)/"
)


def made_by_building(path: Path) -> bool:
    """Whether the path is the kind of file that building leaves."""
    return MADE.search(path.as_posix()) is not None


def test_no_built_file_is_committed() -> None:
    files = project_files()
    assert files
    assert [str(path) for path in files if made_by_building(path)] == []


def test_no_large_file_is_committed() -> None:
    large = [str(path) for path in project_files() if (ROOT / path).stat().st_size > FILE_BYTES_MAX]
    assert large == []


def test_built_files_are_recognised() -> None:
    assert made_by_building(Path("python/karman_grid/_core.abi3.so"))
    assert made_by_building(Path("python/karman_grid/web/static/index.html"))
    assert made_by_building(Path("web/node_modules/x/index.js"))
    assert not made_by_building(Path("python/karman_grid/twin/scenarios/steady.toml"))
