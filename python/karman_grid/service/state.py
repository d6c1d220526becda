"""The state folder: who holds it, which epoch is next, where the running service can be reached.

Owns the files `lock`, `epoch.json` and `run.json`. The lock is the kernel's, so a process that is
killed holds nothing. Fails with `EnvironmentFault`, naming folder and cause.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from karman_grid.errors import EnvironmentFault

__all__ = ["StateFolder", "state_path"]


def state_path() -> Path:
    """`$KARMAN_GRID_STATE`, else the user's state folder of the platform (XDG)."""
    given = os.environ.get("KARMAN_GRID_STATE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "karman-grid"


class StateFolder:
    """An opened and locked state folder.

    Raises:
        EnvironmentFault: it cannot be made or written, or another service holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = self._open()

    def _open(self) -> IO[str]:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path}: the state folder cannot be used: {error.strerror or error}; set "
                "KARMAN_GRID_STATE to a folder that you may write"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise EnvironmentFault(
                f"{self.path}: another karman-grid runs on this state folder (process {holder}); "
                "stop it, or set KARMAN_GRID_STATE to another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def next_epoch(self) -> int:
        """1 + the highest epoch of this folder, on disk before it is used."""
        path = self.path / "epoch.json"
        try:
            epoch = int(json.loads(path.read_text(encoding="utf-8"))["epoch"])
        except FileNotFoundError:
            epoch = 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentFault(
                f"{path}: cannot be read ({error}); agents refuse epochs that go back: restore the "
                "file, or delete it once no agent of this site runs"
            ) from None
        self._write(path, {"epoch": epoch + 1}, sync=True)
        return epoch + 1

    def announce(self, run: Mapping[str, Any]) -> None:
        """Writes `run.json`: process, address, version, configuration."""
        self._write(self.path / "run.json", run, sync=False)

    def _write(self, path: Path, document: Mapping[str, Any], *, sync: bool) -> None:
        partial = path.with_suffix(".partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(document, file)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise EnvironmentFault(
                f"{path}: cannot be written: {error.strerror or error}"
            ) from None

    def close(self) -> None:
        """Gives the folder back: nobody is announced, nobody holds it."""
        (self.path / "run.json").unlink(missing_ok=True)
        self._lock.close()
