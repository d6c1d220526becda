"""`karman-grid twin run` and `karman-grid twin judge`.

Owns their options and the text they print; the work is in `twin.simulate`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from karman_grid.config import Scenario
    from karman_grid.twin.arrivals import Arrivals

__all__ = ["app"]

app = typer.Typer(help="The simulated hall in stepped time.", no_args_is_help=True)


@app.callback()
def _twin() -> None:
    """The simulated hall in stepped time."""


@app.command("run")
def run(
    scenario: Annotated[str, typer.Argument(help="Built-in name or a TOML file.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="First seed.")] = 1,
    runs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Seeds to run.")] = 1,
    duration: Annotated[
        float | None, typer.Option(min=0.1, max=86_400.0, help="Length instead of the file's, s.")
    ] = None,
    site: Annotated[
        str | None, typer.Option(help="Site file or template instead of the scenario's.")
    ] = None,
    control: Annotated[str, typer.Option(help="on, off or static-75.")] = "on",
    arrivals: Annotated[
        Path | None, typer.Option(help="CSV of arrivals: TIMESTAMP,ContextTokens,GeneratedTokens.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write the trace of a single run.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw the first run: .png, .svg.")] = None,
    json_out: Annotated[
        str | None, typer.Option("--json", help="Write the result document to FILE or - .")
    ] = None,
) -> None:
    """Run a scenario and judge it. Exit code 1: something unsafe happened."""
    from karman_grid.cli.output import check_figure, check_target, write_json
    from karman_grid.config import load_scenario, load_site_of, resolve_scenario, resolve_site
    from karman_grid.errors import ConfigError
    from karman_grid.twin.arrivals import load_workload
    from karman_grid.twin.simulate import CONTROLS, Job, simulate

    if control not in CONTROLS:
        raise ConfigError(f"--control: found {control!r}, expected one of {', '.join(CONTROLS)}")
    if trace is not None and runs > 1:
        raise ConfigError("--trace: found --runs above 1, expected a single run")
    check_figure(figure)
    for target, option in ((trace, "--trace"), (json_out, "--json")):
        check_target(target, option)
    loaded = load_scenario(scenario)
    place = load_site_of(loaded, site)
    resolved = resolve_scenario(loaded, place, duration)
    requests = _arrivals(loaded, arrivals)
    if requests is not None:
        # Requests make the demand now, not a level that the scenario may name.
        resolved["demand"]["level_ratio"] = None
    needed = resolved["demand"]["level_ratio"] is None
    job = Job(
        site=resolve_site(place),
        scenario=resolved,
        seed=seed,
        runs=runs,
        control=control,
        workload=load_workload() if needed else None,
        arrivals=requests,
        trace=trace,
    )
    with _progress(runs) as advance:
        document, series = simulate(job, advance)
    if figure is not None:
        from karman_grid.twin.figure import draw_figure

        draw_figure(series, figure, f"{loaded.name}, seed {seed}, control {control}")
    write_json(document, json_out)
    if json_out != "-":
        _tell(document, figure, trace)
    if document["unsafe"] > 0 or document["trips"] > 0:
        raise typer.Exit(1)


def _arrivals(scenario: Scenario, option: Path | None) -> Arrivals | None:
    from karman_grid.twin.arrivals import read_arrivals

    path = option or scenario.demand_file
    return None if path is None else read_arrivals(path)


@contextmanager
def _progress(runs: int) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal; where there is none nobody is bothered."""
    if runs == 1 or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=runs)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _number(value: float | None, digits: int = 1, unit: str = "") -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def _tell(document: dict[str, Any], figure: Path | None, trace: Path | None) -> None:
    verdict = "safe" if document["unsafe"] == 0 and document["trips"] == 0 else "UNSAFE"
    print(
        f"{document['scenario']}, seed {document['seed']}, runs {document['runs']}: {verdict} "
        f"({document['unsafe']} violations, {document['trips']} trips)"
    )
    for name, quantiles in document["latency_ms"].items():
        if quantiles["count"]:
            print(
                f"  {name:<12} p50 {_number(quantiles['p50'])}  p99 {_number(quantiles['p99'])}  "
                f"p99.9 {_number(quantiles['p999'])}  max {_number(quantiles['max'])} ms  "
                f"({quantiles['count']})"
            )
    for key in (
        "grant_ratio",
        "utilisation_before_ratio",
        "survivor_peak_ratio",
        "accumulator_max_ratio",
        "served_of_optimum_ratio",
        "load_change_ratio",
        "work_lost_ratio",
    ):
        print(f"  {key:<26} {_number(document[key], 4)}")
    for key in ("time_to_limit_ms", "over_limit_ms", "critical_shed_w", "pcc_step_w"):
        print(f"  {key:<26} {_number(document[key], 1)}")
    print(f"  {'commands_expected':<26} {document['commands_expected']}")
    print(f"  {'escalations':<26} {document['escalations']}")
    print(f"  {'digest':<26} {document['digest']}")
    for violation in document["violations"][:10]:
        print(
            f"  at {violation['at_ms']:.1f} ms: {violation['kind']} at {violation['element']}: "
            f"{violation['value']:.3f} against {violation['limit']:.3f}"
        )
    if len(document["violations"]) > 10:
        print(f"  and {len(document['violations']) - 10} more: --json writes them all")
    for what, path in (("figure", figure), ("trace", trace)):
        if path is not None:
            print(f"  {what:<26} {path}")


@app.command("judge")
def judge(
    traces: Annotated[list[Path], typer.Argument(help="Traces of one run, in any order.")],
    json_out: Annotated[
        str | None, typer.Option("--json", help="Write the verdict to FILE or - .")
    ] = None,
) -> None:
    """Judge recorded traces without the twin. Exit code 1: something unsafe happened."""
    from karman_grid.cli.output import check_target, write_json
    from karman_grid.twin.simulate import judge as judge_traces

    check_target(json_out, "--json")
    verdict = judge_traces(traces)
    write_json(verdict, json_out)
    if json_out != "-":
        word = "safe" if verdict["unsafe"] == 0 else "UNSAFE"
        print(
            f"{word}: {verdict['unsafe']} violations, {verdict['trips']} trips in "
            f"{verdict['records']:,} records; highest accumulator "
            f"{verdict['accumulator_max_ratio']:.1%}"
        )
        for violation in verdict["violations"]:
            print(
                f"  at {violation['at_ms']:.1f} ms: {violation['kind']} at "
                f"{violation['element']}: {violation['value']:.3f} against {violation['limit']:.3f}"
            )
    if verdict["unsafe"] > 0:
        raise typer.Exit(1)
