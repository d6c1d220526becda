"""requirements.lock pins everything that pyproject.toml asks for, at versions it allows."""

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.project_files import ROOT


def unmet(wanted: list[str], pinned: dict[str, str]) -> list[str]:
    """Requirements without a pin, or with one they exclude."""
    wrong = []
    for text in wanted:
        requirement = Requirement(text)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None:
            wrong.append(f"{text}: no pin")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{text}: pinned at {version}")
    return wrong


def pins() -> dict[str, str]:
    """Name and version of each line of the lock."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def test_the_lock_meets_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    assert unmet(wanted, pins()) == []


def test_an_unmet_requirement_is_seen() -> None:
    assert unmet(["a>=2", "b", "c<3"], {"a": "1", "c": "2.9"}) == ["a>=2: pinned at 1", "b: no pin"]
