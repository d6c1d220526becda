"""Plugins by entry point: adapters, policies, faces and commands, ours and other people's alike.

Owns finding them. Two plugins of one name in one group are refused by name; nothing is imported
before it is asked for. May import: `errors`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from karman_grid.errors import ConfigError

__all__ = ["BUILT_IN_ADAPTERS", "GROUPS", "find"]

GROUPS = ("adapters", "policies", "faces", "commands")
BUILT_IN_ADAPTERS = ("twin",)
"""Adapters that need no distribution of their own."""


def find(group: str, points: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """Entry points of ``karman_grid.<group>`` by name, in order of name.

    Raises:
        ConfigError: two distributions offer the same name, or one takes the name of a built-in.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"karman_grid.{group}") if points is None else points:
        other = found.get(point.name)
        if other is not None or (group == "adapters" and point.name in BUILT_IN_ADAPTERS):
            first = other.value if other is not None else "karman_grid itself"
            raise ConfigError(
                f"plugin {point.name!r} of karman_grid.{group}: found it in {first} and in "
                f"{point.value}, expected one; uninstall one of them"
            )
        found[point.name] = point
    return dict(sorted(found.items()))
