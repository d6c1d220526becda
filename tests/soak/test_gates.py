"""The gates in full: a thousand seeds of a lost feed, and what stands beside them without a gate.

`make soak` runs these; `make test` runs a tenth (tests/sim). Each prints its figures.
"""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.soak

RUNS = 1_000


def run(*arguments: str) -> dict[str, Any]:
    """The result document of one call of the command."""
    call = ["karman-grid", "twin", "run", *arguments, "--json", "-"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def changed(path: Path, name: str, **timing: str) -> Path:
    """The built-in scenario with other timings, written to ``path``."""
    text = (files("karman_grid") / "twin" / "scenarios" / f"{name}.toml").read_text()
    for key, value in timing.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    path.write_text(text)
    return path


def tell(name: str, document: dict[str, Any]) -> None:
    """Prints what a reader of the log wants to know."""
    react = document["latency_ms"]["react"]
    print(
        f"\n{name}: {document['runs']} runs, unsafe {document['unsafe']}, trips "
        f"{document['trips']}; react p50 {react['p50']:.2f} p99 {react['p99']:.2f} p99.9 "
        f"{react['p999']:.2f} max {react['max']:.2f} ms over {react['count']} caps; survivors "
        f"first at {document['survivor_peak_ratio']:.3f}, within limits after "
        f"{document['time_to_limit_ms']:.0f} ms, accumulator "
        f"{document['accumulator_max_ratio']:.4f}; grant {document['grant_ratio']:.4f}, "
        f"utilisation {document['utilisation_before_ratio']:.4f}, served of optimum "
        f"{document['served_of_optimum_ratio']:.4f}"
    )


def test_feed_loss_a_thousand_times() -> None:
    document = run("feed-loss", "--seed", "1", "--runs", str(RUNS))
    tell("feed-loss", document)
    react = document["latency_ms"]["react"]
    grant = document["grant_ratio"]
    assert document["unsafe"] == 0
    assert document["trips"] == 0
    assert document["survivor_peak_ratio"] >= 1.20
    assert react["p999"] < 20.0
    assert all(seed["react_max_ms"] < 50.0 for seed in document["per_seed"])
    assert react["count"] == document["commands_expected"]
    assert document["time_to_limit_ms"] <= 1_000.0
    assert document["accumulator_max_ratio"] <= 0.5
    assert document["critical_shed_w"] == 0.0
    assert grant >= 0.80
    assert document["utilisation_before_ratio"] >= 0.75 + 0.95 * 0.25 * grant
    assert document["served_of_optimum_ratio"] >= 0.97


@pytest.mark.parametrize(
    "scenario", ["grid-sag", "source-loss", "controller-killed", "ignored-caps"]
)
def test_other_disturbances_a_hundred_times(scenario: str) -> None:
    document = run(scenario, "--seed", "1", "--runs", "100")
    load_change = document["load_change_ratio"]
    print(
        f"\n{scenario}: unsafe {document['unsafe']}, trips {document['trips']}, load change "
        f"{load_change:.4f}, commands {document['commands_sent']}, escalations "
        f"{document['escalations']}, under the fallback {document['below_fallback_w']:.0f} W"
    )
    assert document["unsafe"] == 0
    assert document["trips"] == 0
    if scenario == "grid-sag":
        assert load_change < 0.05
        assert document["commands_sent"] == 0
    if scenario == "source-loss":
        assert load_change < 0.01
        assert document["commands_sent"] == 0
    if scenario == "ignored-caps":
        assert document["escalations"] > 0


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
