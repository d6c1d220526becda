"""Every command shown in the README and in docs/start works, and named evidence exists.

Commands are the lines of `sh` fences. Quick ones are run, page by page and in order, in one empty
folder a page. Long ones are only parsed: `make` targets must exist, services and pools of seeds
must have options that the command line knows, and addresses must be routes of the API. Tests and
modules that the safety case names must exist.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from karman_grid.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "start").glob("*.md")))
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Exit code of commands that are shown because their answer is no.
ANSWER_IS_NO = re.compile(r"--control off\b")
Outcomes = dict[Path, list[tuple[str, subprocess.CompletedProcess[str]]]]
LONG = re.compile(r"karman-grid run\b|--runs\b|inference-day")


def commands(page: Path) -> list[str]:
    """The commands of a page, in order."""
    text = page.read_text(encoding="utf-8")
    lines = (line.strip() for block in FENCE.findall(text) for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def words(command: str) -> list[str]:
    """A command's arguments, without what the shell takes for itself."""
    return shlex.split(re.split(r"\s(?:>|\|\|?|&&)\s", command)[0])


def parse(command: str) -> None:
    """Lets the command line parse a command without running it."""
    found = typer.main.get_command(app)
    context = found.make_context("karman-grid", words(command)[1:])
    while hasattr(found, "resolve_command"):
        left = [*context._protected_args, *context.args]
        name, inner, left = found.resolve_command(context, left)
        context, found = inner.make_context(name, left, parent=context), inner


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a line as a shell would, with the installed command on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def make_targets() -> set[str]:
    """Targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def api_routes() -> set[str]:
    """Addresses that the API answers."""
    text = (ROOT / "python" / "karman_grid" / "api" / "app.py").read_text()
    return set(re.findall(r"@app\.get\(\"([^\"]+)\"", text))


def quick(page: Path) -> Iterator[str]:
    """The commands of a page that are run."""
    for command in commands(page):
        if not command.startswith(("make ", "curl ")) and not LONG.search(command):
            yield command


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What each quick command did, page by page, each in a folder of its own."""
    found: Outcomes = {}
    for page in PAGES:
        folder = tmp_path_factory.mktemp(page.stem)
        found[page] = [(command, run(command, folder)) for command in quick(page)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_quick_commands_run_in_order(page: Path, outcomes: Outcomes) -> None:
    for command, done in outcomes[page]:
        expected = 1 if ANSWER_IS_NO.search(command) else 0
        assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, command


def test_the_forged_trace_is_found(outcomes: Outcomes) -> None:
    judged = [
        done.stdout for page in PAGES for command, done in outcomes[page] if "|| echo" in command
    ]
    assert judged, "no page shows a forged trace"
    for text in judged:
        assert "cap_above_lease" in text
        assert text.rstrip().endswith("found")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_long_commands_are_known(page: Path) -> None:
    for command in commands(page):
        if command.startswith("make "):
            assert words(command)[1] in make_targets(), command
        elif command.startswith("curl "):
            address = re.search(r"http://127\.0\.0\.1:8470(/\S+)", command)
            assert address is not None, command
            assert address[1] in api_routes(), command
        else:
            assert "karman-grid" in command or command.startswith("sed "), command
            if command.startswith("karman-grid"):
                parse(command)


def test_pages_show_commands() -> None:
    shown = {page.name: len(commands(page)) for page in PAGES}
    assert all(shown.values()), shown


def missing_evidence(text: str) -> list[str]:
    """Tests and source files named in a text that are not in the project."""
    sources = [path for end in ("rs", "py") for path in ROOT.glob(f"rust/**/*.{end}")]
    sources += ROOT.glob("tests/**/*.py")
    names = {path.relative_to(ROOT).as_posix() for path in sources}
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    files = re.findall(r"`([a-z_/]+\.(?:rs|py))`", text)
    missing = [file for file in files if not any(name.endswith(f"/{file}") for name in names)]
    # Test names are sentences: four words or more.
    for test in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", text):
        # Kinds of violations are written as the variants that they are made from.
        variant = test.title().replace("_", "")
        if not re.search(rf"\b(?:{test}|{variant})\b", code):
            missing.append(test)
    return missing


def test_the_safety_case_names_what_exists() -> None:
    text = (ROOT / "docs" / "safety-case.md").read_text(encoding="utf-8")
    assert missing_evidence(text) == []
    absent = "_".join(["a", "test", "that", "nobody", "wrote"])
    assert missing_evidence(f"`engine/nowhere.rs` `{absent}`") == ["engine/nowhere.rs", absent]


def test_what_does_not_exist_is_seen() -> None:
    with pytest.raises(Exception, match="nonsense"):
        parse("karman-grid run --nonsense")
    with pytest.raises(Exception, match="nonsense"):
        parse("karman-grid nonsense")
    assert "nonsense" not in make_targets()
    assert "/healthz" in api_routes()
