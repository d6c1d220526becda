"""`karman-grid run`: the service on a site, the twin by default.

Owns the options and the address. What happens between the first line and the last is in
`cli.life`.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    site: Annotated[
        str | None, typer.Argument(help="Site file or template; default: the scenario's site.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8470,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    scenario: Annotated[
        str | None, typer.Option(help="What drives the twin; default: steady demand.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the twin.")] = 1,
    story: Annotated[
        bool, typer.Option("--story", help="A feed is lost and returns; told as it happens.")
    ] = False,
    for_s: Annotated[
        float | None, typer.Option("--for", min=1.0, help="End by itself after this long, s.")
    ] = None,
    figure: Annotated[Path, typer.Option(help="Where the story's figure is drawn.")] = Path(
        "karman-grid-story.png"
    ),
) -> None:
    """Run engine, source, actuator and API. Ctrl-C ends it and leaves the static N-1-safe caps."""
    import asyncio

    from karman_grid.cli.life import Life, Story
    from karman_grid.cli.output import check_figure
    from karman_grid.config import load_scenario, load_site_of, resolve_scenario
    from karman_grid.errors import ConfigError
    from karman_grid.service.run import Service
    from karman_grid.service.state import StateFolder, state_path

    if story:
        check_figure(figure)
    loaded = load_scenario(scenario or ("demo" if story else "steady"))
    if loaded.demand_file is not None:
        raise ConfigError(
            f"{loaded.name}: found demand from a file, which only `karman-grid twin run` follows; "
            "expected a scenario whose demand is generated"
        )
    place = load_site_of(loaded, site)
    resolved = resolve_scenario(loaded, place)
    listener = _listen(host, port)
    service = Service(place, resolved, StateFolder(state_path()), seed=seed)
    service.start()
    title = loaded.spec.description or loaded.name
    told = Story(resolved["duration_s"], figure, title) if story else None
    life = Life(service, listener, told, for_s)
    try:
        asyncio.run(life.live())
    finally:
        life.end()
    if life.unsafe:
        raise typer.Exit(1)


def _listen(host: str, port: int) -> socket.socket:
    from karman_grid.errors import EnvironmentFault

    try:
        # An empty host would mean every address of the machine.
        family = socket.getaddrinfo(host or "?", port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, UnicodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise EnvironmentFault(
            f"{host}:{port}: cannot listen there: {cause or error}; choose another with "
            "--port, or --port 0 for a free one"
        ) from None
    return listener
