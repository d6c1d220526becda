"""Every source file says at its top what it owns."""

import ast
from pathlib import Path

from tests.tidy.project_files import files_with, read

HEADER_LETTERS_MIN = 15


def header_of(path: Path, text: str) -> str:
    """The words of the file's header: module docstring, `//!` lines or the first comment block."""
    if path.suffix in {".py", ".pyi"}:
        return ast.get_docstring(ast.parse(text)) or ""
    mark = "//!" if path.suffix == ".rs" else "#"
    words = []
    for line in text.splitlines():
        if line.startswith("#!"):
            continue
        if not line.startswith(mark):
            break
        words.append(line.lstrip("/!# ").strip())
    return " ".join(words)


def test_every_source_file_has_a_header() -> None:
    files = files_with(".py", ".pyi", ".rs", ".sh", "Makefile", "pyproject.toml", "clippy.toml")
    assert files
    bare = [str(path) for path in files if len(header_of(path, read(path))) < HEADER_LETTERS_MIN]
    assert bare == []


def test_a_missing_header_is_seen() -> None:
    assert header_of(Path("a.rs"), "// note\nfn f() {}\n") == ""
    assert header_of(Path("a.rs"), "//! Owns this.\nfn f() {}\n") == "Owns this."
    assert header_of(Path("a.py"), "import os\n") == ""
    assert header_of(Path("a.sh"), "#!/bin/sh\nset -e\n") == ""
    assert header_of(Path("a.sh"), "#!/bin/sh\n# Owns this.\n") == "Owns this."
