"""From a path or a name to a checked site or scenario, and on to the plain values for the core.

Owns the order of checks: readable file, TOML, shape, meaning; each stage tells all its problems
and the next begins only where there were none. May import: `errors`, `config.*`.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from karman_grid.config.check_scenario import check_scenario, check_targets
from karman_grid.config.check_site import check_site
from karman_grid.config.files import Document, parse_document, printable_path, read_document
from karman_grid.config.problems import Report, did_you_mean
from karman_grid.config.scenario import ScenarioFile
from karman_grid.config.shape import validate
from karman_grid.config.site import Site
from karman_grid.config.template import TEMPLATES, render_template
from karman_grid.errors import ConfigError

__all__ = [
    "Scenario",
    "list_scenarios",
    "load_scenario",
    "load_site",
    "load_site_of",
    "open_site",
    "parse_scenario",
    "parse_site",
    "resolve_scenario",
]


@dataclass(frozen=True)
class Scenario:
    """A checked scenario: its name, its tables, and the file that they came from."""

    name: str
    spec: ScenarioFile
    document: Document
    folder: Path | None
    """Folder that relative paths start from; ``None`` for a built-in scenario."""

    @property
    def demand_file(self) -> Path | None:
        """File of arrivals that the scenario names, if it does."""
        if self.spec.demand.file is None:
            return None
        return (self.folder or Path()) / self.spec.demand.file


def load_site(path: str | os.PathLike[str]) -> Site:
    """The site file at ``path``, checked.

    Raises:
        ConfigError: one screen that names every problem.
    """
    return _site(read_document(path))


def parse_site(text: str, name: str = "<site>") -> Site:
    """As `load_site`, for a text; ``name`` stands for the file in messages."""
    return _site(parse_document(name, text))


def open_site(reference: str | os.PathLike[str], folder: Path | None = None) -> Site:
    """A site by template name (``4n3``) or by path, relative to ``folder`` where given."""
    if isinstance(reference, str) and reference in TEMPLATES:
        return parse_site(render_template(reference), name=f"<template {reference}>")
    path = (folder or Path()) / reference
    word = os.fspath(reference)
    if not _exists(path) and not word.endswith(".toml"):
        known = ", ".join(TEMPLATES)
        raise ConfigError(
            f"{printable_path(reference)}: found no such file or template, expected a site file "
            f"or one of {known}{did_you_mean(word, TEMPLATES)}"
        )
    return load_site(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _report(document: Document) -> Report:
    """A report on ``document``; a file of another layout is told so and nothing more."""
    report = Report(document.name, document.raw, document.text)
    schema = document.raw.get("schema")
    if isinstance(schema, int) and not isinstance(schema, bool) and schema != 1:
        found = str(schema) if abs(schema) < 10**9 else "a large number"
        report.add(("schema",), found, "1, the file layout that this version reads")
        report.raise_if_any()
    return report


def _site(document: Document) -> Site:
    report = _report(document)
    site = validate(Site, document.raw, report)
    check_site(site, report)
    report.raise_if_any()
    return site


def _builtins() -> Traversable:
    return files("karman_grid") / "twin" / "scenarios"


def _builtin_files() -> dict[str, Traversable]:
    found = {}
    for entry in _builtins().iterdir():
        if entry.name.endswith(".toml"):
            found[entry.name.removesuffix(".toml")] = entry
    return dict(sorted(found.items()))


def list_scenarios() -> dict[str, str]:
    """Names of the built-in scenarios, in order, and what each does in one line."""
    return {
        name: str(tomllib.loads(entry.read_text(encoding="utf-8")).get("description", ""))
        for name, entry in _builtin_files().items()
    }


def load_scenario(reference: str | os.PathLike[str]) -> Scenario:
    """A scenario by built-in name (``feed-loss``) or by path, checked on its own.

    Raises:
        ConfigError: one screen that names every problem.
    """
    builtin = _builtin_files()
    if isinstance(reference, str) and reference in builtin:
        text = builtin[reference].read_text(encoding="utf-8")
        document = parse_document(f"<built-in {reference}.toml>", text)
        return _scenario(document, reference, None)
    path = Path(reference)
    word = os.fspath(reference)
    if not _exists(path) and os.sep not in word and not word.endswith(".toml"):
        raise ConfigError(
            f"{printable_path(reference)}: found no such file or built-in scenario, expected a "
            f"TOML file or one of {', '.join(builtin)}{did_you_mean(word, builtin)}"
        )
    return _scenario(read_document(path), path.stem, path.parent)


def parse_scenario(text: str, name: str = "<scenario>") -> Scenario:
    """As `load_scenario`, for a text; ``name`` stands for the file in messages."""
    return _scenario(parse_document(name, text), Path(name).stem, None)


def _scenario(document: Document, name: str, folder: Path | None) -> Scenario:
    report = _report(document)
    spec = validate(ScenarioFile, document.raw, report)
    check_scenario(spec, report)
    report.raise_if_any()
    return Scenario(name, spec, document, folder)


def load_site_of(scenario: Scenario, override: str | os.PathLike[str] | None = None) -> Site:
    """The site that ``scenario`` names, or ``override`` (a path or a template) in its place."""
    if override is not None:
        return open_site(override)
    return open_site(scenario.spec.site, scenario.folder)


def resolve_scenario(
    scenario: Scenario, site: Site | None = None, duration_s: float | None = None
) -> dict[str, Any]:
    """The scenario as the twin reads it: JSON-able, every default written out.

    Keys: ``schema name duration_s grain demand timing event``. Parameters become plain values;
    ``at_s`` becomes ``at_s_min`` and ``at_s_max``; keys that were not given are left out, but for
    ``demand.level_ratio`` and ``demand.arrival_scale``, which are then ``None``. ``site``: checks
    that the events aim at what it has. ``duration_s``: takes the place of the file's.

    Raises:
        ConfigError: an event aims at nothing of ``site``.
    """
    spec = scenario.spec
    if site is not None:
        report = _report(scenario.document)
        check_targets(spec, site, report)
        report.raise_if_any()
    demand = spec.demand
    return {
        "schema": spec.schema_version,
        "name": scenario.name,
        "duration_s": spec.duration_s if duration_s is None else float(duration_s),
        "grain": spec.grain,
        "demand": {
            "kind": demand.kind,
            "level_ratio": demand.level_ratio.value if demand.level_ratio else None,
            "arrival_scale": demand.arrival_scale.value if demand.arrival_scale else None,
            "fluctuation_ratio": demand.fluctuation_ratio.value,
        },
        "timing": {key: getattr(spec.timing, key).value for key in type(spec.timing).model_fields},
        "event": [_event(event.model_dump(exclude_none=True)) for event in spec.event],
    }


def _event(row: dict[str, Any]) -> dict[str, Any]:
    at = row.pop("at_s")
    return {**row, "at_s_min": at["min"], "at_s_max": at["max"]}
