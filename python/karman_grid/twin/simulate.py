"""Runs of a scenario in stepped time, and judging traces: the calls into the compiled core.

Owns the crossing: plain mappings in, the result document of a run out. Heavy work happens in Rust
with the interpreter released. May import: `_core`, `errors`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karman_grid import _core
from karman_grid.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from karman_grid.twin.arrivals import Arrivals, Workload

__all__ = ["CONTROLS", "Job", "facts", "judge", "simulate", "workload_json"]

CONTROLS = ("on", "off", "static-75")
"""How the hall is controlled: by the engine, not at all, or by the static share alone."""


@dataclass(frozen=True)
class Job:
    """What to run.

    ``site`` and ``scenario`` are resolved documents; ``runs`` seeds are taken from ``seed`` on;
    ``control`` is one of `CONTROLS`. ``workload``: fitted parameters, needed where requests make
    the demand; ``arrivals`` take the place of its generator. ``trace``: file for the trace of a
    single run.
    """

    site: Mapping[str, Any]
    scenario: Mapping[str, Any]
    seed: int = 1
    runs: int = 1
    control: str = "on"
    workload: Workload | None = None
    arrivals: Arrivals | None = None
    trace: Path | None = None


def simulate(
    job: Job, progress: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs ``job`` on all cores; returns the result document and the series of the first seed.

    ``progress`` is called with (runs done, runs in all).

    Raises:
        ConfigError: the core cannot make sense of the site or the scenario.
        EnvironmentFault: the trace cannot be written.
    """
    arrivals = job.arrivals
    columns = None
    if arrivals is not None:
        columns = (
            arrivals.t_s.tolist(),
            arrivals.context_tokens.tolist(),
            arrivals.generated_tokens.tolist(),
        )
    try:
        document, series = _core.run_scenario(
            json.dumps(job.site),
            json.dumps(job.scenario),
            job.seed,
            job.runs,
            job.control,
            None if job.workload is None else workload_json(job.workload),
            columns,
            None if job.trace is None else os.fspath(job.trace),
            progress,
        )
    except _core.SiteError as error:
        raise ConfigError(f"site: {error}") from None
    except _core.TraceError as error:
        raise ConfigError(f"the run's own record: {error}") from None
    except OSError as error:
        raise EnvironmentFault(f"--trace {job.trace}: {error.strerror or error}") from None
    return json.loads(document), json.loads(series)


def workload_json(workload: Workload) -> str:
    """Fitted parameters as the core reads them."""
    return json.dumps(
        {
            "serving": workload.serving,
            "arrivals": workload.arrivals,
            "arrival_scale": workload.arrival_scale,
        }
    )


def judge(paths: Sequence[Path]) -> dict[str, Any]:
    """Merges the traces at ``paths`` and judges them without the twin.

    Raises:
        ConfigError: a trace is damaged, or the plant's trace is missing.
        EnvironmentFault: a file cannot be read.
    """
    for path in paths:
        _check_readable(path)
    try:
        verdict: dict[str, Any] = json.loads(_core.judge_traces([os.fspath(p) for p in paths]))
    except (_core.TraceError, _core.SiteError) as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        name = error.filename or ", ".join(map(str, paths))
        raise EnvironmentFault(f"{name}: cannot be read: {error.strerror or error}") from None
    return verdict


def _check_readable(path: Path) -> None:
    """Names the file at fault; a named pipe without a writer would be waited for without end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise EnvironmentFault(f"{path}: cannot be read: {cause or error}") from None
    # Pipes that a shell hands over (`/dev/stdin`, `/dev/fd/63`) have a writer.
    if stat.S_ISDIR(mode) or (
        stat.S_ISFIFO(mode) and not str(path).startswith(("/dev/", "/proc/"))
    ):
        kind = "directory" if stat.S_ISDIR(mode) else "named pipe"
        raise ConfigError(f"{path}: found a {kind}, expected a trace file")


def facts(site: Mapping[str, Any]) -> dict[str, Any]:
    """What the core makes of a site: limits, static share and the grant with all agents ready.

    Keys: ``rating_w static_w fallback_w grant_ratio load_w binding devices hosts contingencies``.

    Raises:
        ConfigError: even with every device at its lowest cap the site is not safe.
    """
    try:
        found: dict[str, Any] = json.loads(_core.site_facts(json.dumps(site)))
    except _core.SiteError as error:
        raise ConfigError(f"site: {error}") from None
    return found
