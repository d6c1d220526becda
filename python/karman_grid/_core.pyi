"""The compiled core. Documents cross as JSON text; a test checks this file against the binary."""

from collections.abc import Callable
from typing import final

class SiteError(ValueError):
    """A site or scenario that cannot be run."""

class TraceError(ValueError):
    """A trace that cannot be judged."""

def run_scenario(
    site: str,
    scenario: str,
    seed: int,
    runs: int,
    control: str,
    workload: str | None = None,
    arrivals: tuple[list[float], list[int], list[int]] | None = None,
    trace: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[str, str]: ...
def judge_traces(paths: list[str]) -> str: ...
def site_facts(site: str) -> str: ...

@final
class LiveTwin:
    def __new__(
        cls, site: str, scenario: str, seed: int, epoch: int, workload: str | None = None
    ) -> LiveTwin: ...
    def start(self) -> None: ...
    def status(self) -> str: ...
    def notes(self) -> str: ...
    def metrics(self) -> str: ...
    def inject(self, kind: str, element: str, duration_s: float | None = None) -> None: ...
    def outcome(self) -> tuple[str, str]: ...
    def release(self) -> str: ...
