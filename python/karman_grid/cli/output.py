"""Where documents and figures of commands go.

Owns writing documents whole, a file appears complete or not at all, and refusing early what could
not be written later. Devices and pipes are written as they are, never replaced.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from karman_grid.errors import ConfigError, EnvironmentFault

__all__ = ["check_figure", "check_target", "write_json"]


def check_target(target: str | Path | None, option: str) -> None:
    """Refuses, before any work is done, a file that cannot be written.

    Raises:
        EnvironmentFault: naming ``option``, file and cause.
    """
    if target is None or str(target) == "-":
        return
    path = Path(target)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            return
        created = not path.exists()
        with path.open("a", encoding="utf-8"):
            pass
        if created:
            path.unlink()
    except (OSError, ValueError) as error:
        raise _fault(option, path, error) from None


def check_figure(path: Path | None) -> None:
    """Refuses a figure whose name ends in no known format, or that cannot be written.

    Raises:
        ConfigError: the ending names no format.
        EnvironmentFault: the file cannot be written.
    """
    if path is None:
        return
    from karman_grid.twin.figure import FORMATS

    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"--figure: found {path.name!r}, expected a name that ends in {', '.join(FORMATS)}"
        )
    check_target(path, "--figure")


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
    try:
        _write(Path(os.path.realpath(target)), text)
    except OSError as error:
        raise _fault("--json", Path(target), error) from None


def _write(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except PermissionError:
        # A file that may be written in a folder that may not.
        path.write_text(text, encoding="utf-8")
    finally:
        partial.unlink(missing_ok=True)


def _fault(option: str, path: Path, error: OSError | ValueError) -> EnvironmentFault:
    cause = error.strerror if isinstance(error, OSError) else None
    return EnvironmentFault(f"{option} {path}: cannot be written: {cause or error}")
