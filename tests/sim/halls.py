"""Sites and scenarios for runs of the twin, as files, each a small change of what is shipped."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from karman_grid.config import render_template

from tests.service.command import karman


def scenario(path: Path, name: str = "feed-loss", at_s: float = 1.0, **timing: float) -> Path:
    """The built-in ``name`` with its event at ``at_s``, parameters changed, written to ``path``."""
    text = (files("karman_grid") / "twin" / "scenarios" / f"{name}.toml").read_text()
    text = change(text, r"(?m)^at_s = .*$", f"at_s = {at_s}")
    for key, value in timing.items():
        text = change(text, rf"(?m)^{key} = \{{ value = [^,]+,", f"{key} = {{ value = {value},")
    path.write_text(text)
    return path


def site(path: Path, *changes: tuple[str, str], kind: str = "4n3", racks: int = 64) -> Path:
    """A template with ``changes`` (pattern, replacement), each of which must hit."""
    text = render_template(kind, racks=racks, skew=0.0)
    for pattern, replacement in changes:
        text = change(text, pattern, replacement)
    path.write_text(text)
    return path


def change(text: str, pattern: str, replacement: str) -> str:
    text, hits = re.subn(pattern, replacement, text)
    assert hits > 0, f"nothing matches {pattern!r}"
    return text


def run(*args: str | Path, code: int | None = 0, **options: Any) -> dict[str, Any]:
    """The result document of ``twin run ARGS``; ``code``: the exit code that is expected."""
    ended = karman("twin", "run", *args, "--json", "-", **options)
    assert ended.stderr == ""
    if code is not None:
        assert ended.returncode == code, ended.stdout[-2000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
