"""Every site file that ships in deploy/ is one that `karman-grid check` accepts."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.project_files import ROOT, files_with

SITES = [path for path in files_with(".toml") if path.is_relative_to("deploy/sites")]
COMMAND = Path(sys.executable).with_name("karman-grid")


def test_there_are_site_files() -> None:
    assert SITES


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES, ids=str)
def test_a_shipped_site_is_accepted(site: Path) -> None:
    run = subprocess.run(
        [COMMAND, "check", ROOT / site], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
