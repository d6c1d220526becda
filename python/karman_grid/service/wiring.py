"""The one place that knows concrete classes: from a site file to parts behind the ports.

Owns which adapter name means what. A site whose parts all belong to the twin runs in this process.
May import: `config`, `engine`, `plugins`, `twin`, `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from karman_grid.config import Site, resolve_site
from karman_grid.engine import LiveHall
from karman_grid.errors import ConfigError
from karman_grid.plugins import BUILT_IN_ADAPTERS, find
from karman_grid.twin.arrivals import load_workload
from karman_grid.twin.simulate import workload_json

__all__ = ["build"]


def build(site: Site, scenario: Mapping[str, Any], *, seed: int, epoch: int) -> LiveHall:
    """The parts of ``site``, not yet started.

    Raises:
        ConfigError: a table names an adapter that is not installed, or that this version cannot
            run; the core refuses the site.
    """
    resolved = resolve_site(site)
    for table in ("source", "actuator"):
        for row in resolved[table]:
            _check_adapter(table, row["id"], row["adapter"])
    needed = scenario["demand"]["level_ratio"] is None
    workload = workload_json(load_workload()) if needed else None
    return LiveHall(resolved, scenario, seed=seed, epoch=epoch, workload=workload)


def _check_adapter(table: str, row: str, adapter: str) -> None:
    if adapter in BUILT_IN_ADAPTERS:
        return
    installed = find("adapters")
    known = ", ".join((*BUILT_IN_ADAPTERS, *installed))
    if adapter in installed:
        reason = "is installed, but this version runs sites whose parts all belong to the twin"
    else:
        reason = "is not installed"
    raise ConfigError(
        f"{table}.{row}.adapter: found {adapter!r}, which {reason}; expected one of {known}"
    )
