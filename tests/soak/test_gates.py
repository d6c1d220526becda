"""The gates in full: a thousand seeds of a lost feed, and what stands beside them without a gate.

`make soak` runs these; `make test` runs a tenth (tests/sim). Each prints its figures.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.sim.gates import DISTURBANCES, check_disturbance, check_feed_loss, run, tell

pytestmark = pytest.mark.soak


def changed(path: Path, name: str, **timing: str) -> Path:
    """The built-in scenario with other timings, written to ``path``."""
    text = (files("karman_grid") / "twin" / "scenarios" / f"{name}.toml").read_text()
    for key, value in timing.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    path.write_text(text)
    return path


def test_feed_loss_a_thousand_times() -> None:
    document = run("feed-loss", "--seed", "1", "--runs", "1000")
    tell("feed-loss", document)
    check_feed_loss(document)


@pytest.mark.parametrize("scenario", DISTURBANCES)
def test_other_disturbances_a_hundred_times(scenario: str) -> None:
    check_disturbance(scenario, run(scenario, "--seed", "1", "--runs", "100"))


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        ("writes at p99 15 ms", {"write_p99_ms": "15.0"}),
        ("each server's eight GPUs one after the other", {"serialise_per_host": "true"}),
    ],
)
def test_slower_writes_stand_beside(tmp_path: Path, name: str, timing: dict[str, str]) -> None:
    scenario = changed(tmp_path / "slow.toml", "feed-loss", **timing)
    document = run(str(scenario), "--seed", "1", "--runs", "100")
    tell(name, document)
    assert document["unsafe"] == 0
    assert document["trips"] == 0
