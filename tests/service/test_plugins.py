"""Plugins: found by group, in order, and never two of one name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from karman_grid.errors import ConfigError
from karman_grid.plugins import BUILT_IN_ADAPTERS, GROUPS, find


def point(name: str, value: str = "package:factory", group: str = "policies") -> EntryPoint:
    return EntryPoint(name, value, f"karman_grid.{group}")


def test_they_come_in_order_of_name_and_unimported() -> None:
    found = find("policies", [point("b", "no.such.module:f"), point("a")])
    assert list(found) == ["a", "b"]
    assert found["b"].value == "no.such.module:f"


def test_two_of_one_name_are_refused_with_both_places() -> None:
    with pytest.raises(ConfigError, match=r"'a' of karman_grid\.policies.*one:f.*two:f.*uninstall"):
        find("policies", [point("a", "one:f"), point("b"), point("a", "two:f")])


@pytest.mark.parametrize("name", BUILT_IN_ADAPTERS)
def test_the_name_of_a_built_in_adapter_is_taken(name: str) -> None:
    with pytest.raises(ConfigError, match="karman_grid itself"):
        find("adapters", [point(name, group="adapters")])
    assert list(find("policies", [point(name)])) == [name]


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_installed_here_has_no_clash(group: str) -> None:
    assert list(find(group)) == sorted(find(group))
