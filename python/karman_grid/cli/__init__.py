"""The command line: `karman-grid`. Data on stdout, logs on stderr.

Owns options and exit codes: 0 done or safe, 1 the answer is "no", 2 bad input or environment,
130 interrupted. Commands import what they need when they run, so that `--help` stays quick.
May import: everything.
"""

from __future__ import annotations

import sys

from karman_grid.cli.app import app
from karman_grid.errors import KarmanGridError

__all__ = ["main"]


def main() -> None:
    """Runs the command line; a mistake of the user ends in its message, never in a traceback."""
    try:
        app()
    except KarmanGridError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
