"""A running service: the hall behind the ports, its state folder, and what others may read of it.

Owns start and stop. The fast plane runs on a thread of the core; this side only reads it. Stopping
writes the static N-1-safe caps (rule 8 of the safety rules) and gives lock and address back.
May import: `config`, `service.*`, `errors`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from karman_grid.config import Site, resolve_site
from karman_grid.engine import Note
from karman_grid.service.state import StateFolder
from karman_grid.service.view import config_hash, status_document
from karman_grid.service.wiring import build

__all__ = ["Service"]

# The fast plane publishes every few milliseconds; this long without news and it hangs.
_STALLED_S = 2.0


class Service:
    """One site, running. ``scenario``: the resolved scenario that drives the twin.

    Raises:
        ConfigError: the site cannot be run.
        EnvironmentFault: the state folder cannot be used.
    """

    def __init__(
        self, site: Site, scenario: Mapping[str, Any], state: StateFolder, *, seed: int
    ) -> None:
        self.version = version("karman-grid")
        self.site = site
        self.scenario = scenario
        self._state = state
        self._hash = config_hash(resolve_site(site), scenario)
        self.epoch = state.next_epoch()
        self.hall = build(site, scenario, seed=seed, epoch=self.epoch)
        self._seen = (-1, time.monotonic())
        self._released: dict[str, Any] | None = None

    def start(self) -> None:
        """Lets time run."""
        self.hall.start()

    def announce(self, host: str, port: int) -> None:
        """Tells where the service can be reached, on disk for other processes."""
        self._state.announce(
            {
                "pid": os.getpid(),
                "address": f"http://{host}:{port}",
                "port": port,
                "site": self.site.site.name,
                "version": self.version,
                "config_hash": self._hash,
                "epoch": self.epoch,
                "started_unix_ns": time.time_ns(),
            }
        )

    def status(self) -> dict[str, Any]:
        """The status document of the API."""
        return status_document(
            self.hall.status(),
            site=self.site.site.name,
            mode=self.site.mode,
            version=self.version,
            digest=self._hash,
        )

    def metrics(self) -> str:
        """Prometheus text."""
        return self.hall.metrics()

    def notes(self) -> list[Note]:
        """What happened since the last call."""
        return self.hall.notes()

    def ill(self) -> str | None:
        """Why the service is not healthy; ``None`` while it is."""
        snapshot = self.hall.status()
        if snapshot["failure"] is not None:
            return str(snapshot["failure"])
        if snapshot["control"] == "dead":
            return "the controller is dead; caps fall back as their leases end"
        if snapshot["deposed_by"] is not None:
            return f"a controller of epoch {snapshot['deposed_by']} has taken over"
        now_s = time.monotonic()
        if snapshot["mono_ns"] != self._seen[0]:
            self._seen = (snapshot["mono_ns"], now_s)
        elif now_s - self._seen[1] > _STALLED_S:
            return f"the fast plane has not moved for {now_s - self._seen[1]:.1f} s"
        return None

    def stop(self) -> dict[str, Any]:
        """Writes the static caps, ends the threads, gives lock and address back.

        Returns what `LiveHall.release` returns.
        """
        if self._released is None:
            try:
                self._released = self.hall.release()
            finally:
                self._state.close()
        return self._released
