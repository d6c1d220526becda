"""A strict reader of the Prometheus text format 0.0.4: what a scraper would refuse, it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)( -?\d+)?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}


@dataclass
class Family:
    """One metric: its kind, and its samples by label set."""

    kind: str
    text: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)


def parse(page: str) -> dict[str, Family]:
    """Families by name.

    Raises:
        ValueError: with the line at fault.
    """
    if page and not page.endswith("\n"):
        raise ValueError("the last line does not end")
    families: dict[str, Family] = {}
    helps: dict[str, str] = {}
    current = ""
    for line in page.splitlines():
        if line.startswith("# HELP "):
            name, _, text = line.removeprefix("# HELP ").partition(" ")
            _require(name not in helps and bool(_NAME.fullmatch(name)), line)
            helps[name] = text
        elif line.startswith("# TYPE "):
            current, _, kind = line.removeprefix("# TYPE ").partition(" ")
            _require(kind in _KINDS and current not in families and current in helps, line)
            families[current] = Family(kind, helps[current])
        elif line and not line.startswith("#"):
            _sample(line, families, current)
    return families


def _sample(line: str, families: dict[str, Family], current: str) -> None:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError(f"no sample: {line!r}")
    name, raw, value = match[1], match[2] or "{}", float(match[3])
    _require(current in families, line)
    family = families[current]
    ends = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count", "")}
    allowed = {current + end for end in ends.get(family.kind, ("",))}
    _require(name in allowed, line)
    labels = _LABEL.findall(raw[1:-1])
    _require(",".join(f'{k}="{v}"' for k, v in labels) == raw[1:-1].rstrip(","), line)
    key = (name, frozenset(labels))
    _require(key not in family.samples and len({k for k, _ in labels}) == len(labels), line)
    _require(not name.endswith("_total") or (family.kind == "counter" and value >= 0), line)
    family.samples[key] = value


def _require(holds: bool, line: str) -> None:
    if not holds:
        raise ValueError(f"not allowed here: {line!r}")
