"""The files that people write: the site and the scenario, read, checked, and made plain.

Owns their shape, defaults and error messages, the site templates and the JSON Schemas. May import:
`errors`, `units`, `model`, `ports`. Fails with `ConfigError`, whose text is one screen.
"""

from __future__ import annotations

from karman_grid.config.load import (
    Scenario,
    list_scenarios,
    load_scenario,
    load_site,
    load_site_of,
    open_site,
    parse_scenario,
    parse_site,
    resolve_scenario,
)
from karman_grid.config.scenario import DEMAND_KINDS, EVENT_KINDS, ScenarioFile
from karman_grid.config.schema import json_schema
from karman_grid.config.site import Site, resolve_site
from karman_grid.config.template import TEMPLATES, render_template
from karman_grid.errors import ConfigError

__all__ = [
    "DEMAND_KINDS",
    "EVENT_KINDS",
    "TEMPLATES",
    "ConfigError",
    "Scenario",
    "ScenarioFile",
    "Site",
    "json_schema",
    "list_scenarios",
    "load_scenario",
    "load_site",
    "load_site_of",
    "open_site",
    "parse_scenario",
    "parse_site",
    "render_template",
    "resolve_scenario",
    "resolve_site",
]
