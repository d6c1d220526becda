"""Units of keys and names: which suffix means what, and how a value is told to a person.

Owns the table of unit suffixes. Inside, every quantity is in its base unit (W, VA, A, V, Hz, s,
ratio); ``_kw`` and its like exist at edges only. May import: nothing of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SUFFIXES", "Unit", "base_key", "format_w", "parse_quantity", "split_unit", "unit_of"]


@dataclass(frozen=True)
class Unit:
    """One spelling of a unit: its key suffix, words, base suffix and factor to the base."""

    suffix: str
    words: str
    base: str
    factor: float


def _table(*rows: tuple[str, str, str, float]) -> dict[str, Unit]:
    return {row[0]: Unit(*row) for row in rows}


SUFFIXES: dict[str, Unit] = _table(
    ("w", "watts", "w", 1.0),
    ("kw", "kilowatts", "w", 1e3),
    ("mw", "megawatts", "w", 1e6),
    ("megawatt", "megawatts", "w", 1e6),
    ("va", "volt-amperes", "va", 1.0),
    ("kva", "kilovolt-amperes", "va", 1e3),
    ("mva", "megavolt-amperes", "va", 1e6),
    ("a", "amperes", "a", 1.0),
    ("ka", "kiloamperes", "a", 1e3),
    ("v", "volts", "v", 1.0),
    ("kv", "kilovolts", "v", 1e3),
    ("hz", "hertz", "hz", 1.0),
    ("khz", "kilohertz", "hz", 1e3),
    ("s", "seconds", "s", 1.0),
    ("sec", "seconds", "s", 1.0),
    ("ms", "milliseconds", "ms", 1.0),
    ("us", "microseconds", "ms", 1e-3),
    ("min", "minutes", "s", 60.0),
    ("h", "hours", "s", 3600.0),
    ("ratio", "a share, 1 = 100 %", "ratio", 1.0),
    ("pct", "percent", "ratio", 0.01),
    ("percent", "percent", "ratio", 0.01),
    ("w_per_s", "watts per second", "w_per_s", 1.0),
    ("kw_per_s", "kilowatts per second", "w_per_s", 1e3),
    ("mw_per_s", "megawatts per second", "w_per_s", 1e6),
)
"""Key suffix → unit. ``mw`` is here to be recognised in a file and refused, never to be used."""

_SYMBOLS = {
    "%": "pct",
    "watt": "w",
    "watts": "w",
    "volt": "v",
    "volts": "v",
    "amp": "a",
    "amps": "a",
    "second": "s",
    "seconds": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "w/s": "w_per_s",
    "kw/s": "kw_per_s",
    "mw/s": "mw_per_s",
}
_QUANTITY = re.compile(r"\s*([+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z%/]*)\s*")


def split_unit(key: str) -> tuple[str, Unit] | None:
    """The longest suffix of ``key`` that names a unit, and the stem before it."""
    parts = key.split("_")
    for first in range(1, len(parts)):
        suffix = "_".join(parts[first:]).lower()
        if suffix in SUFFIXES:
            return "_".join(parts[:first]), SUFFIXES[suffix]
    return None


def unit_of(key: str) -> Unit | None:
    """The unit that a key ends in (``rating_w`` → watts), or ``None``."""
    found = split_unit(key)
    return found[1] if found else None


def base_key(key: str) -> str | None:
    """The key in base units that a key in another unit stands for.

    ``rating_kw`` → ``rating_w``; ``None`` if the key names no unit or is in its base unit.
    """
    found = split_unit(key)
    if found is None or found[1].suffix == found[1].base:
        return None
    return f"{found[0]}_{found[1].base}"


def parse_quantity(text: str, key: str) -> float | None:
    """The number that ``text`` means in the unit of ``key``: ``"6 MW"``, ``rating_w`` → 6e6.

    ``None`` where the text is no number with a unit, or one of another quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number = float(match[1].replace("_", ""))
    symbol = match[2].lower()
    if not symbol:
        return number
    given = SUFFIXES.get(_SYMBOLS.get(symbol, symbol))
    wanted = unit_of(key)
    if given is None or wanted is None:
        return None
    if given.base == wanted.base:
        return number * given.factor / wanted.factor
    milliseconds = {"s": 1e3, "ms": 1.0}
    if given.base in milliseconds and wanted.base in milliseconds:
        return number * given.factor * milliseconds[given.base] / milliseconds[wanted.base]
    return None


def format_w(power_w: float) -> str:
    """Watts for a person: four significant places and the nearest of W, kW, MW."""
    for factor, symbol in ((1e6, "MW"), (1e3, "kW")):
        if abs(power_w) >= factor:
            return f"{power_w / factor:.4g} {symbol}"
    return f"{power_w:.4g} W"
