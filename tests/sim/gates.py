"""The gates on disturbances, as assertions on a result document: `make test` holds them for a tenth
of the seeds, `make soak` for all.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

__all__ = ["check_disturbance", "check_feed_loss", "run", "tell"]

DISTURBANCES = ("grid-sag", "source-loss", "controller-killed", "ignored-caps")


def run(*arguments: str) -> dict[str, Any]:
    """The result document of one call of the command."""
    call = ["karman-grid", "twin", "run", *arguments, "--json", "-"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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


def check_feed_loss(document: dict[str, Any]) -> None:
    """A lost feed at full use of the grant: nothing unsafe, in time, and little given away."""
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


def check_disturbance(scenario: str, document: dict[str, Any]) -> None:
    """What is no loss of a feed leads to no cut; what dies or disobeys leads to nothing unsafe."""
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
    if scenario == "controller-killed":
        # Caps, that is: watts overshoot a fall for some tens of milliseconds.
        assert document["below_fallback_w"] == 0.0
    if scenario == "ignored-caps":
        assert document["escalations"] > 0
