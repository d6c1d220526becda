"""What the machine refuses: a port in use, folders and disks that cannot be written.

Each ends in one screen and exit code 2, before anything was started. Root is given no more rights
than others have, for it would be let through everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from tests.service.command import COMMAND, Running, assert_refused, karman


def unprivileged() -> tuple[str, ...]:
    """A prefix that takes root's power over permissions away."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("run by root, and there is no setpriv to take its power away")
    return ("setpriv", "--bounding-set", "-all")


def on_a_full_disk(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with ``folder`` on a file system without any room."""
    folder.mkdir()
    script = (
        'mount -t tmpfs -o size=16k none "$0" || exit 77; '
        'head -c 100000 /dev/zero >"$0/fill" 2>/dev/null; exec "$@"'
    )
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(folder), COMMAND, *args],
        capture_output=True,
        text=True,
        env={**os.environ, "KARMAN_GRID_STATE": str(folder / "state")},
        timeout=60,
        check=False,
    )
    if ended.returncode == 77 or "unshare:" in ended.stderr:
        pytest.skip(f"this machine lets us mount nothing: {ended.stderr.strip()}")
    return ended


def assert_one_line(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert_refused(ended, *words)
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        state = tmp_path / "state"
        ended = karman("run", "--port", port, env={"KARMAN_GRID_STATE": str(state)})
    assert_one_line(ended, f"127.0.0.1:{port}", "in use", "--port 0")
    assert not (state / "run.json").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "", "a" * 300])
def test_an_address_that_is_not_ours(host: str, tmp_path: Path) -> None:
    state = {"KARMAN_GRID_STATE": str(tmp_path / "state")}
    assert_one_line(karman("run", "--port", "0", "--host", host, env=state), "cannot listen there")


def test_another_instance_on_the_same_state(serve: Callable[..., Running]) -> None:
    first = serve()
    ended = karman("run", "--port", "0", env={"KARMAN_GRID_STATE": str(first.state)})
    assert_one_line(ended, str(first.state), f"process {first.process.pid}", "KARMAN_GRID_STATE")
    assert first.get("/healthz").status == 200
    run = first.announced()
    assert run is not None
    assert run["pid"] == first.process.pid
    assert first.end()[0] == 0


def test_a_read_only_state_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o500)
    for folder in (state, state / "below"):
        env = {"KARMAN_GRID_STATE": str(folder)}
        ended = karman("run", "--port", "0", env=env, prefix=unprivileged())
        assert_one_line(ended, str(folder), "ermission denied", "KARMAN_GRID_STATE")


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("")
    ended = karman("run", "--port", "0", env={"KARMAN_GRID_STATE": str(path)})
    assert_one_line(ended, str(path), "state folder cannot be used")


@pytest.mark.parametrize("text", ["", '{"epoch": 1e999}'])
def test_a_damaged_epoch_is_never_guessed(text: str, tmp_path: Path) -> None:
    (tmp_path / "epoch.json").write_text(text)
    ended = karman("run", "--port", "0", env={"KARMAN_GRID_STATE": str(tmp_path)})
    assert_one_line(ended, f"{tmp_path / 'epoch.json'}: cannot be read", "agents refuse epochs")
    assert (tmp_path / "epoch.json").read_text() == text


def test_a_full_disk_under_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    ended = on_a_full_disk(folder, "run", "--port", "0", "--for", "1")
    assert_one_line(ended, "No space left on device")


@pytest.mark.parametrize("option", ["--json", "--trace", "--figure"])
def test_a_full_disk_under_a_result(option: str, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    target = folder / ("x.png" if option == "--figure" else "x.json")
    args = ("twin", "run", "steady", "--duration", "1", option, str(target))
    ended = on_a_full_disk(folder, *args)
    assert_one_line(ended, str(target), "No space left on device")


@pytest.mark.parametrize("option", ["--json", "--trace"])
def test_a_full_device_is_an_error_and_stays_a_device(option: str) -> None:
    full = Path("/dev/full")
    ended = karman("twin", "run", "steady", "--duration", "1", option, full)
    assert_one_line(ended, "/dev/full", "No space left on device")
    assert full.is_char_device()


def test_a_full_stdout_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        for args in (("version",), ("scenarios", "list"), ("site", "template", "4n3")):
            ended = subprocess.run(
                [COMMAND, *args], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
            assert ended.returncode == 2, args
            assert ended.stderr == "output: No space left on device\n"


def test_a_closed_pipe_is_no_error() -> None:
    script = f"'{COMMAND}' site template 4n3 | head -n 1"
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("# 4N/3")
    assert ended.stderr == ""


@pytest.mark.parametrize("option", ["--json", "--trace", "--figure"])
def test_targets_are_refused_before_any_work(option: str, tmp_path: Path) -> None:
    name = "x.png" if option == "--figure" else "x.json"
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    (tmp_path / "x.png").mkdir()
    (tmp_path / "x.json").mkdir()
    for target in (locked / name, tmp_path / "absent" / name, tmp_path / name):
        # A run of 10,000 seeds would take hours.
        ended = karman(
            *("twin", "run", "steady", "--runs", "1" if option == "--trace" else "10000"),
            *(option, target),
            prefix=unprivileged(),
            timeout=20,
        )
        assert_one_line(ended, option, str(target), "cannot be written")


def test_a_result_replaces_what_was_there_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("x" * 100_000)
    link = tmp_path / "link.json"
    link.symlink_to(target)
    assert karman("scenarios", "list", "--json", link).returncode == 0
    assert "feed-loss" in json.loads(target.read_text())
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "result.json"]


def test_no_home_and_no_state_is_said() -> None:
    env = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG"}}
    ended = subprocess.run(
        [*unprivileged(), COMMAND, "run", "--port", "0", "--for", "1"],
        capture_output=True,
        text=True,
        env={**env, "HOME": "/proc/nowhere"},
        check=False,
    )
    assert_one_line(ended, "/proc/nowhere", "KARMAN_GRID_STATE")


def test_recorded_demand_is_not_silently_replaced(tmp_path: Path) -> None:
    text = (files("karman_grid") / "twin" / "scenarios" / "inference-day.toml").read_text()
    text = text.replace('kind = "inference"', 'kind = "file"\nfile = "arrivals.csv"')
    path = tmp_path / "recorded.toml"
    path.write_text("\n".join(row for row in text.splitlines() if "level_ratio" not in row))
    assert_refused(karman("run", "--scenario", path, "--port", "0"), "recorded", "twin run")
