"""The life of `karman-grid run`, from its first line to its last.

Owns signals, what is told when, and the order of ending: the API, then the static caps, then lock
and address. SIGINT, SIGTERM and SIGHUP end it in order, with exit code 0: the caps stand where
they belong. A reader of stdout that goes away ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from karman_grid.api.app import create_app
from karman_grid.service.run import Service
from karman_grid.service.story import Narrator, summary
from karman_grid.twin.figure import draw_figure

__all__ = ["Life", "Story"]

_LOOK_S = 0.1
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Story:
    """What is told at the end of a scenario: after how long, into which figure, its title."""

    duration_s: float
    figure: Path
    title: str


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:
        # Nobody reads any more, or the disk is full: the hall matters more than the words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Life:
    """One run. ``story``: told at its end, where given; ``for_s``: ends by itself after that."""

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        story: Story | None,
        for_s: float | None,
    ) -> None:
        self.unsafe = False
        self._service = service
        self._listener = listener
        self._story = story
        self._for_s = for_s
        self._narrator = Narrator(service.site.site.restore_hold_s)
        self._stop = asyncio.Event()

    async def live(self) -> None:
        """Serves and tells until a signal, or until its time is over."""
        loop = asyncio.get_running_loop()
        for sign in _ENDING:
            loop.add_signal_handler(sign, self._stop.set)
        server = self._server()
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        host, port = self._listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._service.announce(shown, port)
        _say(f"karman-grid {self._service.version} · http://{shown}:{port}/api/v1/status")
        try:
            await self._watch(serving)
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(serving, timeout=2.0)

    def end(self) -> None:
        """Static caps, then lock and address. Impatience does not stop it half-way."""
        for sign in _ENDING:
            signal.signal(sign, signal.SIG_IGN)
        left = self._service.stop()
        self._listener.close()
        _say(
            f"Ended. {left['at_fallback']} of {left['devices']} devices stand at or below their "
            f"static N-1-safe caps; with them the load cannot exceed {left['caps_w'] / 1e3:.1f} kW."
        )

    def _server(self) -> uvicorn.Server:
        config = uvicorn.Config(
            create_app(self._service),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        # Signals end the whole service in order, not the API alone.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        return server

    async def _watch(self, serving: asyncio.Task[None]) -> None:
        started_s = time.monotonic()
        await self._pause(0.5)
        for line in self._narrator.opening(self._service.status(), self._devices()):
            _say(line)
        told = self._story is None
        while not self._stop.is_set() and not serving.done():
            await self._pause(_LOOK_S)
            self._look()
            if not told and self._story is not None and self._now_s() >= self._story.duration_s:
                told = True
                self._finish(self._story)
            if self._for_s is not None and time.monotonic() - started_s >= self._for_s:
                return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), timeout=seconds)

    def _now_s(self) -> float:
        return float(self._service.hall.status()["at_s"])

    def _devices(self) -> int:
        rows = self._service.site.device
        return sum(row.count for row in rows if row.is_controllable)

    def _look(self) -> None:
        notes = self._service.notes()
        status: dict[str, Any] = self._service.status()
        for note in notes:
            for line in self._narrator.tell(note):
                _say(line)
        for line in self._narrator.later(self._now_s(), status):
            _say(line)

    def _finish(self, story: Story) -> None:
        document, series = self._service.hall.outcome()
        self.unsafe = document["unsafe"] > 0 or document["trips"] > 0
        for line in summary(document, self._service.status()):
            _say(line)
        draw_figure(series, story.figure, story.title)
        _say(f"  Figure: {story.figure.resolve()}")
        if self._for_s is None:
            _say("The service stays up; Ctrl-C ends it.")
