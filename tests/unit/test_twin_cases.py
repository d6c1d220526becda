"""The cases that the Rust tests of the twin run on are what the configuration makes today.

Write them anew after a change of a built-in scenario or of the template:
``python tests/unit/test_twin_cases.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from karman_grid.config import (
    list_scenarios,
    load_scenario,
    load_site_of,
    open_site,
    resolve_scenario,
    resolve_site,
)

CASES = Path(__file__).parents[1] / "cases" / "twin"


def made() -> dict[str, Any]:
    """Contents of the case files by name."""
    scenarios = {}
    for name in list_scenarios():
        scenario = load_scenario(name)
        scenarios[name] = resolve_scenario(scenario, load_site_of(scenario))
    return {"site-4n3.json": resolve_site(open_site("4n3")), "scenarios.json": scenarios}


def test_cases_are_current() -> None:
    for name, document in made().items():
        stored = json.loads((CASES / name).read_text(encoding="utf-8"))
        assert stored == json.loads(json.dumps(document)), f"{name}: see the head of this file"


if __name__ == "__main__":
    for name, document in made().items():
        text = json.dumps(document, separators=(",", ":"), sort_keys=True)
        (CASES / name).write_text(text + "\n", encoding="utf-8")
