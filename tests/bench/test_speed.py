"""How fast the twin and the commands are: whole processes, medians, no gate.

`make bench` prints them beside the goals. Machines are shared and noisy: quote the median.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import time

import pytest

pytestmark = pytest.mark.bench

SCENARIOS = ("steady", "feed-loss", "grid-sag", "source-loss", "controller-killed", "ignored-caps")


def timed(call: list[str], times: int) -> tuple[float, float]:
    """Median wall and CPU seconds of ``call``."""
    wall_s, cpu_s = [], []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started_s = time.perf_counter()
        subprocess.run(call, capture_output=True, check=True)
        wall_s.append(time.perf_counter() - started_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall_s), statistics.median(cpu_s)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_of_25_s(scenario: str) -> None:
    wall_s, cpu_s = timed(["karman-grid", "twin", "run", scenario], 5)
    print(f"\n{scenario}: {wall_s:.2f} s wall, {cpu_s:.2f} s CPU for 25 s (gate 6, goal 1.5)")


def test_an_hour_of_inference() -> None:
    wall_s, cpu_s = timed(["karman-grid", "twin", "run", "inference-day"], 1)
    print(f"\ninference-day: {wall_s:.1f} s wall, {cpu_s:.1f} s CPU for an hour (gate 30)")


def test_help() -> None:
    wall_s, _ = timed(["karman-grid", "--help"], 9)
    print(f"\nkarman-grid --help: {1e3 * wall_s:.0f} ms (goal 300)")


@pytest.mark.parametrize(
    ("crate", "arguments"),
    [
        ("karman-grid-core", ["--bench", "waveform"]),
        ("karman-grid-twin", ["--test", "plant_speed", "--", "--ignored", "--nocapture"]),
    ],
)
def test_the_pure_crates(crate: str, arguments: list[str]) -> None:
    verb = "bench" if arguments[0] == "--bench" else "test"
    release = [] if verb == "bench" else ["--release"]
    call = ["cargo", verb, *release, "--quiet", "-p", crate, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    print(f"\n{done.stdout}{done.stderr}")
