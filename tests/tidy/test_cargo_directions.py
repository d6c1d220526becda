"""Directions between the Rust crates: core <- record <- twin <- py, and check on its own.

Reads the manifests. A new crate fails here until it is given a row, which is the place to think
about where it stands; so does a new outside dependency of a crate.
"""

import re
import tomllib
from typing import Any

import pytest

from tests.tidy.project_files import ROOT, files_with, read
from tests.tidy.rust_text import code_only

# Crate -> (crates of ours it may use, outside crates it may use). Tests may use more, see below.
MAY_USE: dict[str, tuple[set[str], set[str]]] = {
    "karman-grid-core": (set(), {"libm", "serde"}),
    "karman-grid-record": ({"karman-grid-core"}, {"crc32c", "libm", "serde"}),
    "karman-grid-twin": (
        {"karman-grid-core", "karman-grid-record"},
        {"libm", "microlp", "serde", "serde_json", "sha2"},
    ),
    "karman-grid-check": (set(), {"libm", "serde", "serde_json"}),
    "karman-grid-py": (
        {"karman-grid-core", "karman-grid-record", "karman-grid-twin", "karman-grid-check"},
        {"numpy", "pyo3", "serde", "serde_json"},
    ),
}
TESTS_MAY_USE = {"proptest", "serde", "serde_json"}
UNSAFE_ALLOWED = {"karman-grid-py"}


def manifest(crate: str) -> dict[str, Any]:
    """The crate's Cargo.toml."""
    return tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())


def names(table: dict[str, Any]) -> set[str]:
    """Real package names of a dependency table, whatever they are renamed to."""
    return {
        value.get("package", name) if isinstance(value, dict) else name
        for name, value in table.items()
    }


def tables(crate_manifest: dict[str, Any], kind: str) -> set[str]:
    """Names in one kind of dependency table, platform-specific ones included."""
    found = names(crate_manifest.get(kind, {}))
    for target in crate_manifest.get("target", {}).values():
        found |= names(target.get(kind, {}))
    return found


def wrong_uses(crate: str, crate_manifest: dict[str, Any]) -> list[str]:
    """Dependencies of a crate that its row does not allow."""
    ours, outside = MAY_USE[crate]
    used = tables(crate_manifest, "dependencies") | tables(crate_manifest, "build-dependencies")
    in_tests = tables(crate_manifest, "dev-dependencies") - TESTS_MAY_USE
    return sorted(f"{crate} -> {name}" for name in (used | in_tests) - ours - outside)


def test_every_crate_has_a_row() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    members = {member.removeprefix("rust/") for member in workspace["members"]}
    folders = {path.parent.name for path in (ROOT / "rust").glob("*/Cargo.toml")}
    assert members == folders == set(MAY_USE)


@pytest.mark.parametrize("crate", sorted(MAY_USE))
def test_a_crate_uses_only_what_it_may(crate: str) -> None:
    assert manifest(crate)["package"]["name"] == crate
    assert wrong_uses(crate, manifest(crate)) == []


@pytest.mark.parametrize("crate", sorted(MAY_USE))
def test_a_crate_obeys_the_workspace_lints(crate: str) -> None:
    assert manifest(crate)["lints"] == {"workspace": True}


def test_the_workspace_denies_what_the_bans_need() -> None:
    lints = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["lints"]
    assert lints["rust"]["unsafe_code"] == "deny"
    assert lints["clippy"]["disallowed_methods"] == "deny"
    assert lints["clippy"]["disallowed_types"] == "deny"


def test_only_the_binding_has_its_own_bans() -> None:
    assert [path.parent.name for path in files_with("clippy.toml") if path.parent.name] == [
        "karman-grid-py"
    ]


def test_shipped_code_does_not_lift_the_bans() -> None:
    lifted = re.compile(r"(allow|expect)\s*\(\s*(clippy::disallowed|unsafe_code)")
    found = [
        str(path)
        for path in files_with(".rs")
        if path.parts[0] == "rust"
        and path.parts[1] not in UNSAFE_ALLOWED
        and path.parts[2] == "src"
        and "tests" not in path.stem
        and lifted.search(code_only(read(path)).split("#[cfg(test)]")[0])
    ]
    assert found == []


def test_a_wrong_direction_is_seen() -> None:
    crate = {
        "dependencies": {"karman-grid-twin": {"workspace": True}, "libm": "0.2"},
        "target": {"cfg(unix)": {"dependencies": {"alias": {"package": "tokio"}}}},
        "dev-dependencies": {"proptest": "1", "rand": "1"},
    }
    assert wrong_uses("karman-grid-core", crate) == [
        "karman-grid-core -> karman-grid-twin",
        "karman-grid-core -> rand",
        "karman-grid-core -> tokio",
    ]
