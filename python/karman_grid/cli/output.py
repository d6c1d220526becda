"""Where documents of commands go.

Owns writing them whole: a file appears complete or not at all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from karman_grid.errors import EnvironmentFault

__all__ = ["check_target", "write_json"]


def check_target(target: str | Path | None, option: str) -> None:
    """Refuses, before any work is done, a file that cannot be written.

    Raises:
        EnvironmentFault: naming ``option``, file and cause.
    """
    if target is None or target == "-":
        return
    path = Path(target)
    created = not path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if created:
            path.unlink()
    except OSError as error:
        raise EnvironmentFault(
            f"{option} {path}: cannot be written: {error.strerror or error}"
        ) from None


def write_json(document: Any, target: str | None) -> None:
    """Writes one document to ``target``: a file, ``-`` for stdout, or nowhere.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    if target is None:
        return
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    path = Path(target)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"--json {path}: cannot be written: {error.strerror or error}"
        ) from None
