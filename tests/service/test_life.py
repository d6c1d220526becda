"""The service from start to end: signals, kill -9 in the middle of a loss, restart, its story."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from tests.service.command import COMMAND, Running, karman

END_S = 5.0
Serve = Callable[..., Running]


def lossy(folder: Path, at_s: float, back_after_s: float = 15.0, duration_s: float = 50.0) -> str:
    """The built-in demonstration with its loss at ``at_s``."""
    text = (files("karman_grid") / "twin" / "scenarios" / "demo.toml").read_text()
    text, changed = re.subn(r"(?m)^at_s = 10\.0$", f"at_s = {at_s}", text)
    assert changed == 1
    text = text.replace("duration_s = 15.0", f"duration_s = {back_after_s}")
    text = text.replace("duration_s = 50.0", f"duration_s = {duration_s}")
    path = folder / "lossy.toml"
    path.write_text(text)
    return str(path)


def assert_gone(service: Running) -> None:
    """Nothing of it is left: neither address nor lock nor port."""
    assert not (service.state / "run.json").exists()
    with (service.state / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", int(service.address.rsplit(":", 1)[1])))


def wait_for_loss(service: Running, within_s: float = 30.0) -> None:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if any(feed["state"] == "lost" for feed in service.status()["feeds"]):
            return
        time.sleep(0.02)
    raise AssertionError(f"no feed was lost: {service.text()}")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(serve: Serve, sign: int) -> None:
    service = serve()
    code, took_s = service.end(sign)
    assert code == 0, service.text()
    assert took_s < END_S
    assert re.search(r"Ended\. 1024 of 1024 devices stand at or below", service.text())
    assert "Traceback" not in service.text()
    assert_gone(service)


def test_open_connections_do_not_delay_the_end(serve: Serve) -> None:
    service = serve()
    port = int(service.address.rsplit(":", 1)[1])
    with (
        socket.create_connection(("127.0.0.1", port)) as idle,
        socket.create_connection(("127.0.0.1", port)) as half,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        half.sendall(b"GET /healthz HT")
        code, took_s = service.end()
    assert code == 0, service.text()
    assert took_s < END_S
    assert_gone(service)


def test_an_impatient_second_signal_does_not_stop_the_end_half_way(serve: Serve) -> None:
    service = serve()
    service.process.send_signal(signal.SIGINT)
    for _ in range(20):
        if service.process.poll() is not None:
            break
        service.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert service.process.wait(timeout=END_S) in {0, -signal.SIGINT}
    assert "1024 of 1024 devices" in service.text()
    assert "Traceback" not in service.text()
    assert_gone(service)


def test_a_signal_in_the_middle_of_a_loss_leaves_the_static_caps(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve("--scenario", lossy(tmp_path, 1.0))
    wait_for_loss(service)
    code, took_s = service.end()
    assert (code, took_s < END_S) == (0, True), service.text()
    said = re.search(r"Ended\. (\d+) of (\d+) devices .* cannot exceed ([\d.]+) kW", service.text())
    assert said is not None, service.text()
    assert said[1] == said[2] == "1024"
    # Three remaining feeds carry 750 kW.
    assert 0 < float(said[3]) <= 750
    assert_gone(service)


def test_kill_9_in_the_middle_of_a_loss_then_a_clean_restart(serve: Serve, tmp_path: Path) -> None:
    scenario = lossy(tmp_path, 2.0)
    first = serve("--scenario", scenario)
    wait_for_loss(first)
    first.process.kill()
    first.process.wait(timeout=10)
    left = first.announced()
    assert left is not None
    second = serve("--scenario", scenario)
    run = second.announced()
    assert run is not None
    assert run["epoch"] == left["epoch"] + 1
    assert json.loads((second.state / "epoch.json").read_text()) == {"epoch": run["epoch"]}
    status = second.status()
    assert all(feed["state"] == "line" for feed in status["feeds"])
    assert (status["unsafe"], status["trips"]) == (0, 0)
    assert status["agents"]["ready"] == status["agents"]["total"]
    wait_for_loss(second)
    code, took_s = second.end()
    assert (code, took_s < END_S) == (0, True), second.text()
    assert "Traceback" not in second.text()
    assert_gone(second)


def test_the_story_is_told_and_drawn(serve: Serve, tmp_path: Path) -> None:
    figure = tmp_path / "story.png"
    scenario = lossy(tmp_path, 1.0, back_after_s=2.0, duration_s=5.0)
    ended = karman(
        *("run", "--port", "0", "--story", "--for", "8", "--scenario", scenario),
        *("--figure", figure),
        env={"KARMAN_GRID_STATE": str(tmp_path / "state")},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    told = ended.stdout
    for words in (
        "1,024 GPUs",
        "The static rule allows 750 kW (75%)",
        "Feed B is lost",
        "armed plan is fired",
        "Detect ",
        " decide ",
        " deliver ",
        " settle ",
        "no element tripped",
        "Feed B carries voltage again",
        "Verdict of the independent checker: safe (0 violations, 0 trips)",
        "Gained over the static rule",
        f"Figure: {figure}",
        "Ended. 1024 of 1024",
    ):
        assert words in told, (words, told)
    assert figure.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    order = [told.index(w) for w in ("is lost", "is fired", "Detect ", "voltage again", "Summary")]
    assert order == sorted(order)


def test_it_ends_by_itself(tmp_path: Path) -> None:
    started_s = time.monotonic()
    ended = karman(
        *("run", "2n", "--port", "0", "--for", "1"),
        env={"KARMAN_GRID_STATE": str(tmp_path / "state")},
    )
    assert ended.returncode == 0, ended.stderr
    assert "Ended." in ended.stdout
    assert time.monotonic() - started_s < 15


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen(
        [COMMAND, "run", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "KARMAN_GRID_STATE": str(state)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"karman-grid ")
        process.stdout.close()
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=END_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait(timeout=10)
    assert not (state / "run.json").exists()
