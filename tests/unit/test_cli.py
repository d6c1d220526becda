"""The tree of commands: help, version, lists, exit codes, and what `--help` may import."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.service.command import COMMAND, assert_refused, karman

COMMANDS = [
    *((), ("check",), ("version",), ("run",), ("site",), ("site", "template")),
    *(("site", "schema"), ("scenarios",), ("scenarios", "list"), ("scenarios", "kinds")),
    *(("twin",), ("twin", "run"), ("twin", "judge")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps(command: tuple[str, ...]) -> None:
    ended = karman(*command, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: karman-grid")
    # Every command and option says what it is for.
    for line in ended.stdout.splitlines():
        words = line.split()
        if words and words[0].startswith("--") and line.startswith("  --"):
            assert len(words) > 2, line


def test_help_is_quick() -> None:
    taken_ms = []
    for _ in range(5):
        started_s = time.monotonic()
        assert karman("--help").returncode == 0
        taken_ms.append(1e3 * (time.monotonic() - started_s))
    median_ms = statistics.median(taken_ms)
    print(f"karman-grid --help: median of 5 {median_ms:.0f} ms (goal 300)")
    assert median_ms < 5_000


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['karman-grid', '--help']\n"
        "from karman_grid.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0
    loaded = set(ended.stderr.split())
    assert "karman_grid.cli" in loaded
    heavy = {
        *("numpy", "matplotlib", "pydantic", "fastapi", "uvicorn", "rich", "asyncio"),
        "karman_grid._core",
    }
    assert loaded.isdisjoint(heavy), loaded.intersection(heavy)


def test_the_version() -> None:
    ended = karman("version")
    assert (ended.stdout, ended.stderr) == (f"karman-grid {version('karman-grid')}\n", "")


@pytest.mark.parametrize("command", ["list", "kinds"])
def test_lists_are_for_people_and_programs(command: str, tmp_path: Path) -> None:
    shown = karman("scenarios", command)
    pure = karman("scenarios", command, "--json", "-")
    filed = tmp_path / "list.json"
    assert karman("scenarios", command, "--json", filed).stdout == shown.stdout
    document = json.loads(pure.stdout)
    assert json.loads(filed.read_text()) == document
    assert "feed-loss" in document
    for name, text in document.items():
        assert text
        assert any(line.startswith(name) and text in line for line in shown.stdout.splitlines())
    assert (shown.returncode, pure.returncode, shown.stderr, pure.stderr) == (0, 0, "", "")


@pytest.mark.parametrize("kind", ["site", "scenario"])
def test_schemas_are_json(kind: str) -> None:
    document = json.loads(karman("site", "schema", kind).stdout)
    assert document["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("tiwn",), ("tiwn",)),
        (("check",), ("site",)),
        (("check", "a", "b"), ("b",)),
        (("site", "template", "5n4"), ("5n4", "4n3")),
        (("site", "template", "4n3", "--racks", "0"), ("racks",)),
        (("site", "template", "4n3", "--racks", "-1"), ("racks",)),
        (("site", "template", "4n3", "--skew", "9"), ("skew",)),
        (("site", "template", "4n3", "--skew", "nan"), ("skew",)),
        (("site", "schema", "hall"), ("hall",)),
        (("run", "--port", "99999"), ("--port",)),
        (("run", "--for", "0"), ("--for",)),
        (("run", "--scenario", "feed-los"), ("feed-loss",)),
        (("run", "nowhere.toml", "--port", "0"), ("nowhere.toml",)),
        (("run", "--story", "--figure", "x.bmp", "--port", "0"), ("--figure", ".svg")),
        (("scenarios", "list", "--json", "/nonexistent/x"), ("--json", "/nonexistent/x")),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_mistakes_are_told_on_stderr(args: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_refused(karman(*args), *words)


@pytest.mark.parametrize("command", ["", "twin", "site", "scenarios"])
def test_nothing_asked_is_answered_by_help(command: str) -> None:
    ended = karman(*command.split())
    assert ended.returncode == 2
    assert "Usage: karman-grid" in ended.stdout + ended.stderr


def test_an_interrupted_command_exits_130() -> None:
    process = subprocess.Popen(
        [COMMAND, "twin", "run", "feed-loss", "--runs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        # A shell starts its background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert out == b""
    assert b"Traceback" not in err
