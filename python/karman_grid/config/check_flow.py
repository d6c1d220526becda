"""Floors against limits: can every element carry what no cap takes away?

Owns one sum along the preferred path, all elements healthy. A site that fails it could not run
within its ratings even with every cap at its lowest. May import: `config.{problems,site}`.
"""

from __future__ import annotations

from karman_grid.config.problems import Report
from karman_grid.config.site import Site
from karman_grid.units import format_w

__all__ = ["check_floors"]

ROUNDING = 1e-9


def check_floors(site: Site, report: Report) -> None:
    """Adds a problem for each element whose floor exceeds its limit.

    Expects a path without cycles; rows that refer to nothing are passed over.
    """
    row_of = {element.id: row for row, element in enumerate(site.element)}
    floor_w = [0.0] * len(site.element)
    rack_floor_w = {rack.id: 0.0 for rack in site.rack}
    for device in site.device:
        if device.rack in rack_floor_w:
            rack_floor_w[device.rack] += device.floor_w
    for rack in site.rack:
        for cord in rack.cords:
            at: str | None = cord.element
            while at in row_of:
                element = site.element[row_of[at]]
                floor_w[row_of[at]] += rack_floor_w[rack.id] * cord.share
                at = element.parents[0] if element.parents else None
    for row, element in enumerate(site.element):
        limit_w = element.limit_w(site.site.nominal_v)
        if limit_w is None or floor_w[row] <= limit_w * (1.0 + ROUNDING):
            continue
        key = next((k for k in ("rating_w", "rating_va", "rating_a") if getattr(element, k)), "id")
        found = f"a limit of {format_w(limit_w)} under a floor of {format_w(floor_w[row])}"
        wanted = "a limit above the sum of fixed_w and cap_min_w that it carries"
        report.add(("element", row, key), found, wanted)
