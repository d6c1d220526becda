"""The tree of commands and the small ones: version, check, site, scenarios.

Owns the top of the tree; `twin` and `run` have modules of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from karman_grid.cli import run as run_command
from karman_grid.cli import twin as twin_commands

__all__ = ["app"]

app = typer.Typer(
    help="Open power orchestration for AI data centres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain text is as legible, and spares `--help` the imports of rich.
    rich_markup_mode=None,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
site_app = typer.Typer(help="Site files: templates and their schema.", no_args_is_help=True)
scenarios_app = typer.Typer(help="Built-in scenarios and event kinds.", no_args_is_help=True)
app.add_typer(twin_commands.app, name="twin")
app.add_typer(site_app, name="site")
app.add_typer(scenarios_app, name="scenarios")
app.command("run")(run_command.run)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    print(f"karman-grid {installed('karman-grid')}")


@app.command()
def check(
    site: Annotated[Path, typer.Argument(help="Site file (TOML).")],
    json_out: Annotated[
        str | None, typer.Option("--json", help="Write the facts as JSON to FILE or - .")
    ] = None,
) -> None:
    """Check a site file: shape, meaning, and whether any reserve can be used safely."""
    from karman_grid.cli.output import check_target, write_json
    from karman_grid.config import load_site, resolve_site
    from karman_grid.twin.simulate import facts
    from karman_grid.units import format_w

    check_target(json_out, "--json")
    loaded = load_site(site)
    found = facts(resolve_site(loaded))
    write_json(found, json_out)
    if json_out == "-":
        return
    print(f"{site}: good. Site {loaded.site.name!r}, mode {loaded.mode}.")
    print(
        f"  {found['devices']:,} controllable devices on {found['hosts']:,} hosts; feeds "
        f"{format_w(found['rating_w'])}; {found['contingencies']} credible contingencies."
    )
    print(
        f"  Static share {format_w(found['static_w'])}; caps at the fallback sum to "
        f"{format_w(found['fallback_w'])}."
    )
    binding = found["binding"]
    bound = "" if binding is None else f"; {binding['element']} binds"
    if binding is not None and binding["contingency"] is not None:
        bound += f" after a loss of {binding['contingency']}"
    print(
        f"  With every agent ready {found['grant_ratio']:.1%} of the reserve may be used "
        f"(load {format_w(found['load_w'])}){bound}."
    )


@site_app.command("template")
def template(
    kind: Annotated[str, typer.Argument(help="4n3, 3n2 or 2n.")],
    racks: Annotated[int, typer.Option(help="Racks.")] = 64,
    skew: Annotated[
        float, typer.Option(help="4n3: pairs AB and CD carry 1 + SKEW of an even share.")
    ] = 0.0,
) -> None:
    """Print a site file to start from."""
    from karman_grid.config import render_template

    sys.stdout.write(render_template(kind, racks=racks, skew=skew))


@site_app.command("schema")
def schema(
    kind: Annotated[str, typer.Argument(help="site or scenario.")] = "site",
) -> None:
    """Print the JSON Schema of a site or scenario file, for editors."""
    from karman_grid.cli.output import write_json
    from karman_grid.config import json_schema

    write_json(json_schema(kind), "-")


@scenarios_app.command("list")
def scenarios_list(
    json_out: Annotated[str | None, typer.Option("--json", help="FILE or - .")] = None,
) -> None:
    """List the built-in scenarios."""
    from karman_grid.cli.output import write_json
    from karman_grid.config import list_scenarios

    found = list_scenarios()
    write_json(found, json_out)
    if json_out != "-":
        _table(found)


@scenarios_app.command("kinds")
def scenarios_kinds(
    json_out: Annotated[str | None, typer.Option("--json", help="FILE or - .")] = None,
) -> None:
    """List what a scenario can make happen."""
    from karman_grid.cli.output import write_json
    from karman_grid.config import EVENT_KINDS

    write_json(EVENT_KINDS, json_out)
    if json_out != "-":
        _table(EVENT_KINDS)


def _table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"{name:<{width}}  {text}")
