"""The bans in clippy.toml work: a crate that does each banned thing is told off for each.

The crate is laid out like ours, two folders below the clippy.toml, so the way clippy finds the file
is proved as well. It has no dependencies and is only checked, never run.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.tidy.project_files import ROOT

METHODS_USED = {
    "std::time::Instant::now": "let start = std::time::Instant::now();",
    "std::time::Instant::elapsed": "start.elapsed();",
    "std::time::SystemTime::now": "let date = std::time::SystemTime::now();",
    "std::time::SystemTime::elapsed": "let _ = date.elapsed();",
    "std::thread::sleep": "std::thread::sleep(std::time::Duration::ZERO);",
    "std::env::var": 'let _ = std::env::var("A");',
    "std::env::var_os": 'let _ = std::env::var_os("A");',
    "std::env::vars": "let _ = std::env::vars();",
    "std::fs::read": 'let _ = std::fs::read("a");',
    "std::fs::read_to_string": 'let _ = std::fs::read_to_string("a");',
    "std::fs::write": 'let _ = std::fs::write("a", "b");',
}
ARGUMENTS = {"atan2": "x", "hypot": "x", "log": "x", "powf": "x", "powi": "2", "mul_add": "x, x"}


def use_of(path: str) -> str:
    """A statement that calls the banned method."""
    if path in METHODS_USED:
        return METHODS_USED[path]
    method = path.removeprefix("f64::")
    return f"let _ = x.{method}({ARGUMENTS.get(method, '')});"


def messages(config: Path, source: str, folder: Path) -> list[str]:
    """What clippy says about a crate under a copy of the configuration."""
    crate = folder / "rust" / "probe"
    (crate / "src").mkdir(parents=True)
    shutil.copy(config, folder / "clippy.toml")
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
    )
    (crate / "src" / "lib.rs").write_text(source)
    environment = {name: value for name, value in os.environ.items() if name != "CLIPPY_CONF_DIR"}
    run = subprocess.run(
        ["cargo", "clippy", "--offline", "--quiet", "--message-format=json"],
        cwd=crate,
        env={**environment, "CARGO_TARGET_DIR": str(folder / "target"), "RUSTFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    parsed = (json.loads(line) for line in run.stdout.splitlines())
    return [item["message"]["message"] for item in parsed if item.get("message")]


def banned(config: Path, table: str) -> set[str]:
    """The paths that a configuration bans."""
    return {entry["path"] for entry in tomllib.loads(config.read_text())[table]}


def told_off(said: list[str]) -> set[str]:
    """The banned paths that clippy's messages name."""
    return {
        match.group(1)
        for message in said
        if (match := re.match(r"use of a disallowed (?:method|type) `([^`]+)`", message))
    }


@pytest.mark.slow
def test_every_ban_bites(tmp_path: Path) -> None:
    config = ROOT / "clippy.toml"
    methods = banned(config, "disallowed-methods")
    types = banned(config, "disallowed-types")
    assert methods >= set(METHODS_USED)
    lines = ["//! Does everything that is banned.", "pub fn f(x: f64) {"]
    # An elapsed time needs a start, so the listed ones keep their order.
    ordered = [*METHODS_USED, *sorted(methods - set(METHODS_USED))]
    lines += [f"    {use_of(path)}" for path in ordered]
    lines += ["}"]
    generics = {"HashMap": "<u8, u8>", "HashSet": "<u8>"}
    for number, path in enumerate(sorted(types)):
        kind = path + generics.get(path.rsplit("::", 1)[1], "")
        lines.append(f"pub fn t{number}(_: &{kind}) {{}}")
    assert told_off(messages(config, "\n".join(lines), tmp_path)) == methods | types


@pytest.mark.slow
def test_the_binding_may_read_the_clock_and_nothing_else_is_lifted(tmp_path: Path) -> None:
    config = ROOT / "rust" / "karman-grid-py" / "clippy.toml"
    source = (
        "//! Reads the clock.\n"
        "pub fn f() -> std::time::Instant { std::time::Instant::now() }\n"
        "pub fn g(_: &std::collections::HashMap<u8, u8>) {}\n"
    )
    assert told_off(messages(config, source, tmp_path)) == {"std::collections::HashMap"}
