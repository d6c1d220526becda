"""Errors, sorted by who must act, each with the exit code that a command ends with.

Owns the exception classes that cross module borders. May import: nothing of ours.
Their text is written for the reader of a terminal: complete, one screen, no traceback needed.
"""

from __future__ import annotations

__all__ = ["ConfigError", "EnvironmentFault", "KarmanGridError"]


class KarmanGridError(Exception):
    """Base of every error that a person can act on.

    ``exit_code`` is what the command line returns: 2, bad input or environment.
    """

    exit_code: int = 2


class ConfigError(KarmanGridError):
    """A file or an option says something that cannot be used.

    ``str`` of it is the whole screen: one problem a line, ``FILE:LINE: table.key: found …,
    expected …``. ``problems`` holds every line, also those that the screen leaves out.
    """

    def __init__(self, screen: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(screen)
        self.problems: tuple[str, ...] = problems or (screen,)


class EnvironmentFault(KarmanGridError):
    """The machine refuses: a port in use, a full or read-only disk, no permission."""
