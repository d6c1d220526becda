"""The command line: `karman-grid`. Data on stdout, logs on stderr.

Owns options and exit codes: 0 done or safe, 1 the answer is "no", 2 bad input or environment,
130 interrupted. Commands import what they need when they run, so that `--help` stays quick.
May import: everything.
"""

from __future__ import annotations

import os
import sys

from karman_grid.cli.app import app
from karman_grid.errors import KarmanGridError

__all__ = ["main"]


def main() -> None:
    """Runs the command line; a mistake of the user ends in its message, never in a traceback."""
    code = 0
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _drop_stdout()
    except OSError as error:
        # Above all a full disk behind stdout.
        _drop_stdout()
        print(f"{error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _run() -> int:
    try:
        app()
    except KarmanGridError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _drop_stdout() -> None:
    """What is still buffered must not fail again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
