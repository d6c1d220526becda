"""What all tests share: where the project and the outside data are, a state folder of their own.

The outside data (workload traces, waveform records) may not be published with the project. Tests
that read it ask for `data_dir` and skip, saying why, where it is not there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Property tests give the same cases on every machine; load must not fail them.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The outside data: $KARMAN_GRID_DATA, by default `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("KARMAN_GRID_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no outside data: {folder} is not there (set KARMAN_GRID_DATA)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps tests, and the commands they start, away from the user's state and display."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KARMAN_GRID_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("NO_COLOR", "1")
        for name in ("FORCE_COLOR", "PYTHONPATH", "COLUMNS"):
            patch.delenv(name, raising=False)
        yield
