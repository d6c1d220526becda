"""The wheel: what it holds, how it is tagged, and that it works where there is no Rust.

Builds it once by `pip wheel .`, as `pip install .` from a checkout does, then installs it into an
empty environment whose PATH has neither cargo nor rustc.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "karman_grid"
NEEDED = ("__init__.py", "py.typed", "_core.pyi", "_core.abi3.so")

pytestmark = pytest.mark.slow


def run(
    command: list[str | Path], environment: dict[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end and shows what it said if it failed."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, "."],
        dict(os.environ),
    )
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def bare_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new virtual environment with nothing but the wheel in it."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    installer: list[str | Path]
    if shutil.which("uv", path=str(Path(sys.executable).parent)):
        venv.create(folder, symlinks=True)
        installer = [sys.executable, "-m", "uv", "pip", "install", "-p", folder / "bin/python"]
    else:
        venv.create(folder, symlinks=True, with_pip=True)
        installer = [folder / "bin/python", "-m", "pip", "install"]
    run([*installer, "--quiet", "-c", ROOT / "requirements.lock", wheel], without_rust())
    return folder / "bin"


def without_rust() -> dict[str, str]:
    """The environment, with a PATH on which no Rust is."""
    path = os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if not any((Path(folder) / tool).exists() for tool in ("cargo", "rustc", "rustup"))
    )
    assert shutil.which("cargo", path=path) is None
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return {**kept, "PATH": path}


def test_the_wheel_is_abi3(wheel: Path) -> None:
    assert wheel.name.startswith("karman_grid-")
    assert wheel.name.split("-")[2:4] == ["cp312", "abi3"]


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("karman_grid/") for name in names if name.startswith("karman_grid")}
    assert set(NEEDED) <= inside
    data = [
        path.relative_to(PACKAGE).as_posix()
        for pattern in ("twin/scenarios/*.toml", "twin/data/*", "**/*.py")
        for path in PACKAGE.glob(pattern)
        if path.is_file()
    ]
    assert any(name.startswith("twin/scenarios/") for name in data)
    assert any(name.startswith("twin/data/") for name in data)
    assert set(data) <= inside
    assert [name for name in names if name.endswith("LICENSE")]


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert [name for name in names if not name.startswith("karman_grid")] == []
    assert [name for name in names if "__pycache__" in name or "sbom" in name] == []
    assert sum(name.endswith(".so") for name in names) == 1


def test_the_wheel_works_without_rust(bare_environment: Path, tmp_path: Path) -> None:
    environment = without_rust()
    command = bare_environment / "karman-grid"
    version = run([command, "version"], environment, tmp_path).stdout
    assert version.strip()
    result = run(
        [command, "twin", "run", "steady", "--duration", "2", "--json", "-"], environment, tmp_path
    )
    document = json.loads(result.stdout)
    assert document["scenario"] == "steady"
    assert document["unsafe"] == 0
    assert document["version"] in version
