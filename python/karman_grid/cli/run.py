"""`karman-grid run`: the service on a site, the twin by default.

Owns the options, the address, signals, and the order of ending: static caps first, then the API,
then the lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import uvicorn
    from karman_grid.service.run import Service

__all__ = ["run"]

_LOOK_S = 0.1


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
    figure: Annotated[
        Path, typer.Option(help="Where the story's figure is drawn.")
    ] = Path("karman-grid-story.png"),
) -> None:
    """Run engine, source, actuator and API. Ctrl-C ends it and leaves the static N-1-safe caps."""
    from karman_grid.config import load_scenario, load_site_of, resolve_scenario
    from karman_grid.service.run import Service
    from karman_grid.service.state import StateFolder, state_path

    loaded = load_scenario(scenario or ("demo" if story else "steady"))
    place = load_site_of(loaded, site)
    resolved = resolve_scenario(loaded, place)
    listener = _listen(host, port)
    state = StateFolder(state_path())
    service = Service(place, resolved, state, seed=seed)
    service.start()
    story_s = resolved["duration_s"] if story else None
    life = _Life(service, listener, story_s, for_s, figure)
    try:
        asyncio.run(life.live())
    finally:
        life.end()
    if life.unsafe:
        raise typer.Exit(1)


def _listen(host: str, port: int) -> socket.socket:
    from karman_grid.errors import EnvironmentFault

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        raise EnvironmentFault(
            f"{host}:{port}: cannot listen there: {error.strerror or error}; choose another with "
            "--port, or --port 0 for a free one"
        ) from None
    return listener


def _say(line: str) -> None:
    print(line, flush=True)


class _Life:
    """One run from the first line to the last."""

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        story_s: float | None,
        for_s: float | None,
        figure: Path,
    ) -> None:
        from karman_grid.service.story import Narrator

        self.service = service
        self.listener = listener
        self.story_s = story_s
        self.for_s = for_s
        self.figure = figure
        self.unsafe = False
        self.narrator = Narrator(service.site.site.restore_hold_s)
        self.load_before_w = 0.0
        self._stop = asyncio.Event()
        self._ended = False

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, self._stop.set)
        server = self._server()
        serving = asyncio.create_task(server.serve(sockets=[self.listener]))
        host, port = self.listener.getsockname()[:2]
        self.service.announce(host, port)
        _say(f"karman-grid {self.service.version} · http://{host}:{port}/api/v1/status")
        try:
            await self._watch(serving)
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(serving, timeout=2.0)

    def _server(self) -> uvicorn.Server:
        import uvicorn
        from karman_grid.api.app import create_app

        config = uvicorn.Config(
            create_app(self.service),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        # Signals end the whole service in order, not the API alone.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        return server

    async def _watch(self, serving: asyncio.Task[None]) -> None:
        started_s = time.monotonic()
        await self._pause(0.2)
        for line in self.narrator.opening(self.service.status(), self._devices()):
            _say(line)
        told = self.story_s is None
        while not self._stop.is_set() and not serving.done():
            await self._pause(_LOOK_S)
            self._look()
            if not told and self._now_s() >= (self.story_s or 0.0):
                told = True
                self._finish_story()
            if self.for_s is not None and time.monotonic() - started_s >= self.for_s:
                return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), timeout=seconds)

    def _now_s(self) -> float:
        return float(self.service.hall.status()["at_s"])

    def _devices(self) -> int:
        rows = self.service.site.device
        return sum(row.count for row in rows if row.is_controllable)

    def _look(self) -> None:
        notes = self.service.notes()
        status: dict[str, Any] = self.service.status()
        if not any(feed["state"] == "lost" for feed in status["feeds"]) and not notes:
            self.load_before_w = max(self.load_before_w, status["load_w"])
        for note in notes:
            for line in self.narrator.tell(note):
                _say(line)
        for line in self.narrator.later(self._now_s(), status):
            _say(line)

    def _finish_story(self) -> None:
        from karman_grid.service.story import summary
        from karman_grid.twin.figure import draw_figure

        document, series = self.service.hall.outcome()
        self.unsafe = document["unsafe"] > 0 or document["trips"] > 0
        for line in summary(document, self.service.status(), self.load_before_w):
            _say(line)
        draw_figure(series, self.figure, "Feed B lost at 10 s, back at 25 s")
        _say(f"  Figure: {self.figure.resolve()}")
        if self.for_s is None:
            _say("The service stays up; Ctrl-C ends it.")

    def end(self) -> None:
        """Static caps, then lock and address."""
        if self._ended:
            return
        self._ended = True
        left = self.service.stop()
        self.listener.close()
        _say(
            f"Ended. {left['at_fallback']} of {left['devices']} devices stand at their static "
            f"N-1-safe caps, {left['caps_w'] / 1e3:.1f} kW in all."
        )
