"""The state folder: who holds it, which epoch is next, where the running service can be reached.

Owns the files `lock`, `epoch.json` and `run.json`. The lock is the kernel's, so a process that is
killed holds nothing. Fails with `EnvironmentFault`, naming folder and cause.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from karman_grid.errors import EnvironmentFault

__all__ = ["StateFolder", "state_path"]

_EPOCH_MAX = 2**63 - 1


def state_path() -> Path:
    """`$KARMAN_GRID_STATE`, else the user's state folder of the platform (XDG).

    Raises:
        EnvironmentFault: neither is known.
    """
    given = os.environ.get("KARMAN_GRID_STATE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "karman-grid"
    try:
        return Path.home() / ".local" / "state" / "karman-grid"
    except RuntimeError:
        raise EnvironmentFault(
            "the state folder cannot be found: this user has no home; set KARMAN_GRID_STATE"
        ) from None


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
            raise self._unusable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate(0)
            # Unbuffered: a full disk must be seen here and now.
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(32).strip() or "unknown"
            lock.close()
            raise EnvironmentFault(
                f"{self.path}: another karman-grid runs on this state folder (process {holder}); "
                "stop it, or set KARMAN_GRID_STATE to another folder"
            ) from None
        except OSError as error:
            lock.close()
            raise self._unusable(error) from None
        return lock

    def _unusable(self, error: OSError) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self.path}: the state folder cannot be used: {error.strerror or error}; set "
            "KARMAN_GRID_STATE to a folder that you may write"
        )

    def next_epoch(self) -> int:
        """1 + the highest epoch of this folder, on disk before it is used."""
        path = self.path / "epoch.json"
        try:
            epoch = json.loads(path.read_text(encoding="utf-8"))["epoch"]
            if type(epoch) is not int or not 0 <= epoch < _EPOCH_MAX:
                raise ValueError("no sound epoch in it")
        except FileNotFoundError:
            epoch = 0
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            cause = error.strerror if isinstance(error, OSError) else None
            raise EnvironmentFault(
                f"{path}: cannot be read ({cause or error}); agents refuse epochs that go back: "
                "restore the file, or delete it once no agent of this site runs"
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
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise EnvironmentFault(
                f"{path}: cannot be written: {error.strerror or error}"
            ) from None

    def close(self) -> None:
        """Gives the folder back: nobody is announced, nobody holds it."""
        with contextlib.suppress(OSError):
            (self.path / "run.json").unlink(missing_ok=True)
        self._lock.close()
