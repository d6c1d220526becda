"""Which files belong to the project, for the checks in this folder.

Owns the list (what git tracks, and new files it does not ignore) and reading them. Where the
checkout is not a git repository, every file counts that is not in a folder made by building.
"""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_BUILDING = {".venv", "target", "build", "dist", "node_modules", "__pycache__", ".git"}


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project, as paths relative to its root, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = {Path(name) for name in listed.stdout.decode().split("\0") if name}
    else:
        names = {
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if path.is_file() and not MADE_BY_BUILDING & set(path.relative_to(ROOT).parts)
        }
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


def files_with(*suffixes: str) -> tuple[Path, ...]:
    """The project's files whose name ends in one of the suffixes."""
    return tuple(path for path in project_files() if path.name.endswith(suffixes))


def read(path: Path) -> str:
    """The text of a project file."""
    return (ROOT / path).read_text(encoding="utf-8")
