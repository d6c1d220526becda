"""Problems of a file, collected and told: one line each, one screen in all.

Owns the wording ``FILE:LINE: table.key: found …, expected …`` and the suggestions for misspelled
words. May import: `errors`, `units`, `config.locate`.
"""

from __future__ import annotations

import datetime
import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from karman_grid.config.locate import Locator, Path
from karman_grid.errors import ConfigError
from karman_grid.units import base_key, parse_quantity, split_unit, unit_of

__all__ = ["Problem", "Report", "did_you_mean", "found_text", "number_hint", "suggest_key"]

SCREEN_LINES = 20
PROBLEMS_MAX = 500
"""Problems that are worked out and kept; beyond them only the number counts."""
LINE_CHARS = 220
VALUE_CHARS = 60


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what stands there, what would be right."""

    path: Path
    found: str
    expected: str
    line: int | None = None


class Report:
    """Collects the problems of one file; `raise_if_any` tells them all."""

    def __init__(self, file: str, raw: Mapping[str, Any], text: str) -> None:
        self._file = file
        self._raw = raw
        self._locator = Locator(text)
        self._problems: list[Problem] = []
        self._untold = 0

    def line(self, path: Path) -> int | None:
        """Line of ``path`` in the file, or of what encloses it."""
        return self._locator.line(path)

    def add(self, path: Path, found: str, expected: str) -> None:
        """Notes a problem at ``path``."""
        if self.is_full:
            self._untold += 1
        else:
            self._problems.append(Problem(path, found, expected, self.line(path)))

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted: no suggestion for them is worth its time."""
        return len(self._problems) >= PROBLEMS_MAX

    def did_you_mean(self, word: str, known: Iterable[str]) -> str:
        """As `did_you_mean`, while the suggestion can still be shown."""
        return "" if len(self._problems) > 2 * SCREEN_LINES else did_you_mean(word, known)

    def raise_if_any(self) -> None:
        """Raises `ConfigError` with every problem, in the order of the file, if there is one."""
        if not self._problems:
            return
        ordered = sorted(self._problems, key=lambda problem: problem.line or 0)
        lines = list(dict.fromkeys(self._told(problem) for problem in ordered))
        shown = lines[:SCREEN_LINES]
        more = len(lines) - len(shown) + self._untold
        if more:
            shown.append(f"{self._file}: and {more} more")
        raise ConfigError("\n".join(shown), tuple(lines))

    def _told(self, problem: Problem) -> str:
        where = self._file if problem.line is None else f"{self._file}:{problem.line}"
        said = f"found {problem.found}, expected {problem.expected}"
        told = one_line(f"{where}: {self._named(problem.path)}: {said}")
        return _cut(told, LINE_CHARS + len(where))

    def _named(self, path: Path) -> str:
        """``element.feed-a.rating_w``: rows by their id where they have one, else by number."""
        words = ""
        at: Any = self._raw
        for step in path:
            at = _step(at, step)
            if isinstance(step, int):
                row_id = at.get("id") if isinstance(at, dict) else None
                named = isinstance(row_id, str) and row_id.isprintable() and 0 < len(row_id) < 64
                words += f".{row_id}" if named else f"[{step}]"
            else:
                words += f".{printable(step)}" if words else printable(step)
        return words or "the file"


def _step(at: Any, step: str | int) -> Any:
    if isinstance(at, dict):
        return at.get(step)
    if isinstance(at, list) and isinstance(step, int) and step < len(at):
        return at[step]
    return None


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def one_line(text: str) -> str:
    """``text`` on one line of a terminal: line ends and control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable(text: str) -> str:
    """As `one_line`, and cut where it is long."""
    return _cut(one_line(text), VALUE_CHARS)


def found_text(value: Any) -> str:
    """A value of a file as a person reads it."""
    if isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"{value} (no finite number)"
    if isinstance(value, dict):
        return "a table" if value else "an empty table"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, datetime.date | datetime.time):
        return f"the date {value.isoformat()}"
    return "nothing" if value is None else printable(repr(value))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "feed-a"?`` or nothing, for a word that ought to be one of ``known``."""
    close = difflib.get_close_matches(word[:VALUE_CHARS], list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def suggest_key(key: str, known: Sequence[str]) -> str | None:
    """The known key that ``key`` stands for: another unit of it first, else a near spelling."""
    based = base_key(key)
    if based in known:
        return based
    split = split_unit(key)
    if split is not None:
        for candidate in known:
            other = split_unit(candidate)
            if other is not None and other[0] == split[0]:
                return candidate
    close = difflib.get_close_matches(key[:VALUE_CHARS], known, n=1, cutoff=0.6)
    return close[0] if close else None


def number_hint(key: str, value: Any) -> str:
    """`a number of watts`, and for ``"6 MW"`` also how to write it: ``rating_w = 6000000``."""
    unit = unit_of(key)
    words = f"a number of {unit.words}" if unit and unit.base != "ratio" else "a number"
    if not isinstance(value, str):
        return words
    number = parse_quantity(value, key)
    if number is None or not math.isfinite(number):
        return f"{words} without quotes"
    told = f"{number:.15g}" if abs(number) < 1e15 else repr(number)
    return f"{words} without quotes: {key} = {told}"
