"""Where in a TOML text a value stands: a path such as ``element[3].rating_w`` → its line.

Owns a scanner for positions only; ``tomllib`` judges and reads the text, and gives no positions.
Called when there is something to complain about, never on the good path. Fails softly: a text
that the scanner cannot follow yields the lines found so far, and callers fall back to the nearest
enclosing table.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["Locator", "Path"]

type Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_BARE = re.compile(r"[^,\]\}\n#]+")


class _Lost(ValueError):
    """The scanner met something that it does not follow."""


class Locator:
    """Lines of the keys, tables and array entries of one TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] | None = None
        self._counts: dict[Path, int] = {}

    def line(self, path: Sequence[str | int]) -> int | None:
        """Line (from 1) of ``path``, or of the longest part of it that the text holds."""
        if self._lines is None:
            self._lines = {}
            with suppress(_Lost, RecursionError):
                self._statements()
        for length in range(len(path), 0, -1):
            found = self._lines.get(tuple(path[:length]))
            if found is not None:
                return found
        return None

    def _note(self, path: Path, offset: int) -> None:
        assert self._lines is not None
        self._lines.setdefault(path, bisect_left(self._breaks, offset) + 1)

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        return match.end() if match else at

    def _take(self, pattern: re.Pattern[str], at: int) -> tuple[str, int]:
        match = pattern.match(self._text, at)
        if match is None:
            raise _Lost
        return match[0], match.end()

    def _statements(self) -> None:
        table: Path = ()
        at = self._skip(_BLANK, 0)
        while at < len(self._text):
            if self._text.startswith("[[", at):
                keys, end = self._key(at + 2)
                above = self._under((), keys[:-1], at)
                index = self._counts.get((*above, keys[-1]), 0)
                self._counts[(*above, keys[-1])] = index + 1
                self._note((*above, keys[-1]), at)
                table = (*above, keys[-1], index)
                self._note(table, at)
                at = end + 2
            elif self._text[at] == "[":
                keys, end = self._key(at + 1)
                table = self._under((), keys, at)
                self._note(table, at)
                at = end + 1
            else:
                at = self._pair(table, at)
            at = self._skip(_BLANK, at)

    def _under(self, path: Path, keys: Sequence[str], at: int) -> Path:
        """``keys`` below ``path``, where an array of tables means its last entry."""
        for key in keys:
            path = (*path, key)
            self._note(path, at)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _key(self, at: int) -> tuple[list[str], int]:
        keys: list[str] = []
        while True:
            raw, at = self._take(_KEY, self._skip(_SPACE, at))
            keys.append(str(tomllib.loads(f"k = {raw}")["k"]) if raw[0] in "\"'" else raw)
            at = self._skip(_SPACE, at)
            if not self._text.startswith(".", at):
                return keys, at
            at += 1

    def _pair(self, table: Path, at: int) -> int:
        start = at
        keys, at = self._key(at)
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path, start)
        if not self._text.startswith("=", at):
            raise _Lost
        return self._value(path, self._skip(_SPACE, at + 1))

    def _value(self, path: Path, at: int) -> int:
        if self._text.startswith(('"', "'"), at):
            return self._take(_STRING, at)[1]
        if self._text.startswith("[", at):
            return self._array(path, at)
        if self._text.startswith("{", at):
            return self._inline(path, at)
        return self._take(_BARE, at)[1]

    def _array(self, path: Path, at: int) -> int:
        at = self._skip(_BLANK, at + 1)
        index = 0
        while not self._text.startswith("]", at):
            self._note((*path, index), at)
            at = self._skip(_BLANK, self._value((*path, index), at))
            if self._text.startswith(",", at):
                at = self._skip(_BLANK, at + 1)
            index += 1
        return at + 1

    def _inline(self, path: Path, at: int) -> int:
        at = self._skip(_BLANK, at + 1)
        while not self._text.startswith("}", at):
            at = self._skip(_BLANK, self._pair(path, at))
            if self._text.startswith(",", at):
                at = self._skip(_BLANK, at + 1)
        return at + 1
