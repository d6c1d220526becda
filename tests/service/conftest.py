"""Services for tests, ended in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.command import Running


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts services on a state folder of this test; kills what still runs at its end."""
    started: list[Running] = []

    def start(*args: str, state: Path | None = None, prefix: tuple[str, ...] = ()) -> Running:
        started.append(Running(state or tmp_path / "state", args, prefix))
        return started[-1]

    yield start
    for service in started:
        service.kill()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for tests that only read."""
    service = Running(tmp_path_factory.mktemp("service") / "state")
    yield service
    service.kill()
