"""Nasty files given to commands: one screen, exit code 2, no hanging, no traceback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from karman_grid.config import render_template

from tests.service.command import COMMAND, assert_refused, karman

WAIT_S = 8


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Files by what is wrong with them."""
    folder = tmp_path_factory.mktemp("nasty")
    good = render_template("2n", racks=2)
    texts = {
        "empty": b"",
        "blank": b"\n \n",
        "binary": bytes(range(256)) * 64,
        "zero byte": b"schema = 1\n\0",
        "latin-1": "schema = 1\n# Kälte\n".encode("latin-1"),
        "utf-16": good.encode("utf-16"),
        "json": b'{"schema": 1}',
        "cut short": good.encode()[:-500],
        "another schema": good.replace("schema = 1", "schema = 2").encode(),
        "no tables": b"schema = 1\n",
        "unknown keys": good.replace("nominal_v", "nominal_volts").encode(),
        "nested": b"a = " + b"[" * 50_000 + b"]" * 50_000,
        "one long line": b"schema = 1 # " + b"x" * 5_000_000,
        "many errors": good.replace("rating_w", "rating_kw").encode(),
        "huge number": good.replace("rating_w = ", "rating_w = 1" + "0" * 400).encode(),
        "escapes": b'schema = 1\n"\\u001b[2J\\u0007" = 1\n',
    }
    paths = {}
    for name, content in texts.items():
        paths[name] = folder / f"{name}.toml"
        paths[name].write_bytes(content)
    paths["large"] = folder / "large.toml"
    with paths["large"].open("wb") as large:
        large.truncate(100_000_000)
    paths["directory"] = folder / "directory.toml"
    paths["directory"].mkdir()
    paths["loop"] = folder / "loop.toml"
    paths["loop"].symlink_to(paths["loop"])
    paths["pipe"] = folder / "pipe.toml"
    os.mkfifo(paths["pipe"])
    paths["null"] = Path("/dev/null")
    paths["endless"] = Path("/dev/zero")
    paths["missing"] = folder / "missing.toml"
    paths["name too long"] = folder / ("x" * 300 + ".toml")
    listener = socket.socket(socket.AF_UNIX)
    paths["socket"] = folder / "s.toml"
    here = Path.cwd()
    os.chdir(folder)
    try:
        listener.bind("s.toml")
    finally:
        os.chdir(here)
    yield paths
    listener.close()


NASTY = [
    *("empty", "blank", "binary", "zero byte", "latin-1", "utf-16", "json", "cut short"),
    *("another schema", "no tables", "unknown keys", "nested", "one long line", "many errors"),
    *("huge number", "escapes", "large", "directory", "loop", "pipe", "null", "endless"),
    *("missing", "name too long", "socket"),
]


@pytest.mark.parametrize("what", NASTY)
def test_a_nasty_site_file(what: str, nasty: dict[str, Path]) -> None:
    path = nasty[what]
    ended = karman("check", path, timeout=WAIT_S)
    assert_refused(ended, path.name)
    assert "\x1b" not in ended.stderr
    assert max(map(len, ended.stderr.splitlines())) < 1500


@pytest.mark.parametrize("what", ["binary", "directory", "pipe", "missing"])
def test_the_same_wherever_a_file_is_taken(what: str, nasty: dict[str, Path]) -> None:
    path = nasty[what]
    for args in (
        ("twin", "run", path),
        ("twin", "run", "steady", "--site", path),
        ("twin", "run", "steady", "--arrivals", path),
        ("run", path, "--port", "0"),
    ):
        assert_refused(karman(*args, timeout=WAIT_S), path.name)


def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.toml"
    path.write_text(render_template("2n", racks=2))
    path.chmod(0)
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("run by root, and there is no setpriv to take its power away")
        prefix = ("setpriv", "--bounding-set", "-all")
    for args in (("check",), ("twin", "run"), ("twin", "judge"), ("run",)):
        assert_refused(karman(*args, path, prefix=prefix), str(path), "ermission")


def test_a_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = render_template("2n", racks=2).replace("nominal_hz = 60", "nominal_herz = 60", 1)
    assert "nominal_herz" in text
    path.write_text(text)
    line = text[: text.index("nominal_herz")].count("\n") + 1
    assert_refused(karman("check", path), f"{path}:{line}: site.nominal_herz: found", "expected")


def test_a_good_file_through_a_pipe_of_the_shell() -> None:
    script = f"'{COMMAND}' site template 2n --racks 2 | '{COMMAND}' check /dev/stdin"
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("/dev/stdin: good.")
