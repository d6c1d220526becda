"""The installed command as a real process: one-shot commands, and the service with its state.

Owns starting, waiting and ending; every process has a state folder of its own. Other folders of
tests use it, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("karman-grid"))
SCREEN_LINES = 25


def karman(
    *args: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end; ``prefix`` goes before it (`setpriv …`)."""
    return subprocess.run(
        [*prefix, COMMAND, *(os.fspath(arg) for arg in args)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=timeout,
        check=False,
    )


def assert_refused(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one screen on stderr that says ``words``."""
    assert ended.returncode == 2, (ended.returncode, ended.stdout, ended.stderr)
    assert ended.stdout == ""
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr, ended.stderr
    assert len(ended.stderr.splitlines()) <= SCREEN_LINES, ended.stderr
    for word in words:
        assert word in ended.stderr, (word, ended.stderr)


@dataclass
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(url: str, method: str = "GET", timeout: float = 5) -> Answer:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body = answer.read().decode()
            return Answer(answer.status, dict(answer.headers.items()), body)
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, dict(refused.headers.items()), refused.read().decode())


@dataclass
class Running:
    """A service on ``state``; ``first_status_s``: from its start to the first 200."""

    state: Path
    args: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    first_status_s: float = 0.0
    process: subprocess.Popen[bytes] = field(init=False)
    address: str = ""

    def __post_init__(self) -> None:
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.out = self.state.parent / f"{self.state.name}.out"
        started_s = time.monotonic()
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.prefix, COMMAND, "run", "--port", "0", *self.args],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "KARMAN_GRID_STATE": str(self.state)},
            )
        try:
            self._await_status(started_s)
        except BaseException:
            self.kill()
            raise

    def _await_status(self, started_s: float) -> None:
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.text()}")
            if time.monotonic() - started_s > 30:
                raise AssertionError(f"no status within 30 s: {self.text()}")
            run = self.announced()
            if run is not None and run["pid"] == self.process.pid:
                self.address = run["address"]
                if self.get("/api/v1/status").status == 200:
                    self.first_status_s = time.monotonic() - started_s
                    return
            time.sleep(0.02)

    def announced(self) -> dict[str, Any] | None:
        """`run.json`, if it is there."""
        try:
            found: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        except FileNotFoundError:
            return None
        return found

    def get(self, path: str, method: str = "GET") -> Answer:
        return fetch(self.address + path, method)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/v1/status").json()
        return found

    def text(self) -> str:
        """What it has said so far."""
        return self.out.read_text()

    def end(self, sign: int = signal.SIGINT) -> tuple[int, float]:
        """Sends ``sign``; returns exit code and the seconds that it took."""
        sent_s = time.monotonic()
        self.process.send_signal(sign)
        code = self.process.wait(timeout=30)
        return code, time.monotonic() - sent_s

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
