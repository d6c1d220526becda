"""JSON Schemas of the files, generated from the same models that read them.

Owns the choice of dialect and titles. Rules that span rows (`check_site`, `check_scenario`) are
beyond a JSON Schema; `karman-grid check` applies them. May import: `errors`, `config.*`.
"""

from __future__ import annotations

from typing import Any, Literal

from karman_grid.config.scenario import ScenarioFile
from karman_grid.config.site import Site
from karman_grid.errors import ConfigError

__all__ = ["json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: Literal["site", "scenario"] | str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the ``site`` or the ``scenario`` file.

    Raises:
        ConfigError: ``kind`` is neither.
    """
    models: dict[str, type[Site] | type[ScenarioFile]] = {"site": Site, "scenario": ScenarioFile}
    if kind not in models:
        raise ConfigError(f'schema: found "{kind}", expected site or scenario')
    schema = models[kind].model_json_schema(by_alias=True)
    return {"$schema": DIALECT, **schema, "title": f"karman-grid {kind} file, schema 1"}
