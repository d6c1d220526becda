"""A hall paced by the wall clock: plant, agents and the engine on a thread of their own.

Owns the handle. The thread steps the same `Engine::tick` that stepped runs use; Python only reads
snapshots and hands in faults, so a stalled interpreter delays no cap. May import: `_core`,
`errors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from karman_grid import _core
from karman_grid.errors import ConfigError, EnvironmentFault

__all__ = ["LiveHall", "Note"]


@dataclass(frozen=True)
class Note:
    """Something that happened, for people: ``at_s`` counts from the start of the run."""

    at_s: float
    kind: str
    values: Mapping[str, Any]


class LiveHall:
    """A running hall. Methods may be called from any thread.

    Raises:
        ConfigError: the core cannot make sense of the site or the scenario.
    """

    def __init__(
        self,
        site: Mapping[str, Any],
        scenario: Mapping[str, Any],
        *,
        seed: int,
        epoch: int,
        workload: str | None = None,
    ) -> None:
        try:
            self._twin = _core.LiveTwin(
                json.dumps(site), json.dumps(scenario), seed, epoch, workload
            )
        except _core.SiteError as error:
            raise ConfigError(f"site: {error}") from None

    def start(self) -> None:
        """Starts the thread; simulated time follows the wall clock from now on."""
        self._twin.start()

    def status(self) -> dict[str, Any]:
        """The engine's state: keys as in the reference page on the API, times monotonic."""
        found: dict[str, Any] = json.loads(self._twin.status())
        return found

    def notes(self) -> list[Note]:
        """What happened since the last call, oldest first."""
        raw = json.loads(self._twin.notes())
        return [Note(n.pop("at_s"), n.pop("kind"), n) for n in raw]

    def metrics(self) -> str:
        """The state as Prometheus text, rendered in Rust."""
        return self._twin.metrics()

    def inject(self, kind: str, element: str, duration_s: float | None = None) -> None:
        """Does something to the plant: a kind and a target as in scenario files.

        Raises:
            ConfigError: there is no such kind or element.
        """
        try:
            self._twin.inject(kind, element, duration_s)
        except _core.SiteError as error:
            raise ConfigError(str(error)) from None

    def release(self) -> dict[str, Any]:
        """Writes the static N-1-safe caps, waits for their acknowledgements, ends the thread.

        Returns ``{devices, at_fallback, caps_w, static_w, load_w}``; a second call returns the
        same. ``at_fallback``: devices that stand at or below their fallback.

        Raises:
            EnvironmentFault: the thread died; what it last wrote stands until its leases end.
        """
        try:
            found: dict[str, Any] = json.loads(self._twin.release())
        except _core.SiteError as error:
            raise EnvironmentFault(f"the hall could not be ended in order: {error}") from None
        return found

    def outcome(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The result document so far, judged by the independent checker, and the figure series."""
        document, series = self._twin.outcome()
        return json.loads(document), json.loads(series)
