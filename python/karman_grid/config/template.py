"""Site templates: a complete, commented site file for 4N/3, 3N/2 and 2N halls of any size.

Owns the layouts, their default figures and the source of each. The text is made here, and what it
means is left to the loader, so a template passes the same checks as a file written by hand. May
import: `errors`, `config.template_text`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from karman_grid.config.template_text import CURVES, HEADS, number
from karman_grid.errors import ConfigError

__all__ = ["TEMPLATES", "render_template"]

RACKS_MAX = 4096
"""Largest hall: 65,536 GPUs; its file stays under the bound on file sizes."""
SERVERS_PER_RACK = 2
GPUS_PER_SERVER = 8
TIERS = 4
CAP_MIN_W, CAP_MAX_W, FIXED_W = 200.0, 700.0, 2800.0
PSU_RATING_W = 9_900.0
"""Three supplies of 3.3 kW on each side of a server."""
NOMINAL_V, NOMINAL_HZ = 277.0, 60.0
SERVICE_RATIO = 1.25
SAMPLE_RATE_HZ = 32_000
BASE_RACKS = 64.0
UNEVEN_RATIO = 1.05
SKEW_MIN, SKEW_MAX = -0.9, 1.9


@dataclass(frozen=True)
class Layout:
    """A redundancy scheme: its feeds, the pairs that racks are plugged into, and the ratings."""

    title: str
    feeds: str
    groups: tuple[tuple[str, ...], ...]
    """Pairs that take turns; the pairs of one group always hold equally many racks."""
    rating_total_w: float
    """Sum of the feed ratings for 64 racks."""


TEMPLATES: dict[str, Layout] = {
    "4n3": Layout(
        "4N/3: four feeds, any three carry the load; racks over all six pairs of feeds",
        "abcd",
        (("ab", "cd"), ("ac", "bd"), ("ad", "bc")),
        1_000_000.0,
    ),
    "3n2": Layout(
        "3N/2: three feeds, any two carry the load; racks over all three pairs of feeds",
        "abc",
        (("ab",), ("bc",), ("ac",)),
        1_000_000.0,
    ),
    "2n": Layout(
        "2N: two feeds, either carries the load; every rack on both",
        "ab",
        (("ab",),),
        1_500_000.0,
    ),
}


@dataclass(frozen=True)
class Pair:
    """Racks on one pair of feeds, and the factor on the power of their devices."""

    feeds: str
    racks: int
    factor: float


def render_template(kind: str, racks: int = 64, skew: float = 0.0, name: str | None = None) -> str:
    """The text of a site file for a hall of ``racks`` racks.

    ``kind``: ``4n3``, ``3n2`` or ``2n``. ``skew`` (4n3 only): the pairs AB and CD carry
    (1 + skew) of an even share, the other four (1 − skew/2). ``name``: of the site.

    Raises:
        ConfigError: an argument out of range.
    """
    if kind not in TEMPLATES:
        known = ", ".join(TEMPLATES)
        raise ConfigError(f'site template: found "{kind}", expected one of {known}')
    if not 1 <= racks <= RACKS_MAX:
        raise ConfigError(f"site template: --racks: found {racks}, expected 1 to {RACKS_MAX}")
    layout = TEMPLATES[kind]
    pairs = _skewed(kind, _spread(layout, racks), skew)
    share_w = layout.rating_total_w * racks / BASE_RACKS / len(layout.feeds)
    rating_w = round(share_w * _unevenness(layout, _spread(layout, racks)), 3)
    site_name = name or f"{kind}-{racks}-racks" + (f"-skew-{skew:g}" if skew else "")
    parts = [
        HEADS["file"].format(title=layout.title, gpus=f"{racks * 16:,}", racks=racks),
        _site(site_name, rating_w * len(layout.feeds)),
        _elements(layout, rating_w),
        CURVES,
        _racks(pairs, racks),
        _meters(layout),
        HEADS["ports"],
    ]
    return "\n".join(parts)


def _spread(layout: Layout, racks: int) -> list[Pair]:
    """Racks on each pair: groups filled evenly, the first ones first; what is left over goes to
    the first pair of the next group."""
    width = len(layout.groups[0])
    each, extra = divmod(racks // width, len(layout.groups))
    pairs = []
    for index, group in enumerate(layout.groups):
        for place, feeds in enumerate(group):
            left_over = racks % width if (index, place) == (extra, 0) else 0
            pairs.append(Pair(feeds, each + (index < extra) + left_over, 1.0))
    return pairs


def _unevenness(layout: Layout, pairs: list[Pair]) -> float:
    """How much more the fullest feed carries after a loss than if racks spread perfectly.

    Up to 5 % stays what it is, the price of whole racks; a hall too small to spread gets feeds
    that much larger, or no cap could ever make it safe.
    """
    racks = sum(pair.racks for pair in pairs)
    feeds = len(layout.feeds)
    even = racks / feeds + racks / (feeds * (feeds - 1))
    worst = 0.0
    for lost in layout.feeds:
        for feed in layout.feeds.replace(lost, ""):
            both = sum(pair.racks for pair in pairs if {lost, feed} == set(pair.feeds))
            own = sum(pair.racks for pair in pairs if feed in pair.feeds)
            worst = max(worst, (own + both) / 2)
    ratio = worst / even
    return ratio if ratio > UNEVEN_RATIO else 1.0


def _skewed(kind: str, pairs: list[Pair], skew: float) -> list[Pair]:
    if skew == 0.0:
        return pairs
    if kind != "4n3":
        raise ConfigError(f"site template: --skew: found {skew:g} for {kind}, expected 4n3 with it")
    if not math.isfinite(skew) or not SKEW_MIN <= skew <= SKEW_MAX:
        wanted = f"{SKEW_MIN:g} to {SKEW_MAX:g}"
        raise ConfigError(f"site template: --skew: found {skew:g}, expected {wanted}")
    if any(pair.racks == 0 for pair in pairs):
        raise ConfigError("site template: --skew: found a pair without racks, expected 6 or more")
    even = sum(pair.racks for pair in pairs) / len(pairs)
    heavy = ("ab", "cd")
    return [
        Pair(p.feeds, p.racks, (1 + skew if p.feeds in heavy else 1 - skew / 2) * even / p.racks)
        for p in pairs
    ]


def _table(kind: str, *rows: tuple[str, str]) -> str:
    return "\n".join([f"[[{kind}]]", *(f"{key} = {value}" for key, value in rows), ""])


def _text(value: str) -> str:
    return f'"{value}"'


def _site(name: str, total_w: float) -> str:
    rows = {
        "name": _text(name),
        "nominal_v": number(NOMINAL_V),
        "nominal_hz": number(NOMINAL_HZ),
        "contract_w": number(round(SERVICE_RATIO * total_w, 3)),
        "ramp_up_w_per_s": number(round(0.05 * total_w, 3)),
        "ramp_down_w_per_s": number(round(0.10 * total_w, 3)),
        "restore_hold_s": number(10.0),
        "jobs_wait_for_lease": "true",
        "psu_sharing_error": "0.02",
    }
    return HEADS["site"].format(**rows)


def _elements(layout: Layout, rating_w: float) -> str:
    rating = ("rating_w", number(rating_w))
    total = ("rating_w", number(round(SERVICE_RATIO * rating_w * len(layout.feeds), 3)))
    marked = ("continuous_ratio", "1.0")
    parts = [HEADS["element"], _table("element", ("id", _text("utility")), _kind("utility"), total)]
    for letter in layout.feeds:
        ups, feed, pdu = f"ups-{letter}", f"feed-{letter}", f"pdu-{letter}"
        parts += [
            _table(
                "element",
                ("id", _text(ups)),
                _kind("ups"),
                ("parents", '["utility"]'),
                rating,
                ("curve", '["ups-line", "ups-battery", "ups-bypass"]'),
            ),
            _table(
                "element",
                ("id", _text(feed)),
                _kind("feed"),
                ("parents", f'["{ups}"]'),
                rating,
                marked,
                ("curve", '"breaker-feed"'),
            ),
            _table(
                "element",
                ("id", _text(pdu)),
                _kind("pdu"),
                ("parents", f'["{feed}"]'),
                rating,
                marked,
                ("curve", '"breaker-pdu"'),
            ),
        ]
    return "\n".join(parts)


def _kind(kind: str) -> tuple[str, str]:
    return ("kind", _text(kind))


def _racks(pairs: list[Pair], racks: int) -> str:
    """Racks pair by pair. Tiers follow the servers of the site in turn, and any run of servers
    then holds all tiers evenly: each pair's counts differ by one at most."""
    width = max(2, len(str(racks)))
    parts = [HEADS["rack"]]
    rack = server = 0
    for pair in pairs:
        for _ in range(pair.racks):
            rack += 1
            rack_id = f"r{rack:0{width}d}"
            parts.append(_rack(rack_id, pair))
            for place in range(1, SERVERS_PER_RACK + 1):
                parts.append(_server(rack_id, f"{rack_id}-s{place}", server % TIERS, pair.factor))
                server += 1
    return "\n".join(parts)


def _rack(rack_id: str, pair: Pair) -> str:
    psu = number(PSU_RATING_W * SERVERS_PER_RACK * max(1.0, pair.factor))
    cords = "".join(
        f'  {{ element = "pdu-{letter}", share = 0.5, psu_rating_w = {psu} }},\n'
        for letter in pair.feeds
    )
    return _table("rack", ("id", _text(rack_id)), ("cords", f"[\n{cords}]"))


def _server(rack_id: str, server_id: str, tier: int, factor: float) -> str:
    gpus = _table(
        "device",
        ("id", _text(f"{server_id}-gpu")),
        ("rack", _text(rack_id)),
        _kind("gpu"),
        ("count", str(GPUS_PER_SERVER)),
        ("cap_min_w", number(CAP_MIN_W * factor)),
        ("cap_max_w", number(CAP_MAX_W * factor)),
        ("tier", str(tier)),
    )
    rest = _table(
        "device",
        ("id", _text(server_id)),
        ("rack", _text(rack_id)),
        _kind("server"),
        ("fixed_w", number(FIXED_W * factor)),
    )
    return f"{gpus}\n{rest}"


def _meters(layout: Layout) -> str:
    parts = [HEADS["meter"]]
    for letter in layout.feeds:
        for element, position in ((f"feed-{letter}", "ups_output"), (f"ups-{letter}", "ups_input")):
            parts.append(
                _table(
                    "meter",
                    ("id", _text(f"m-{element}")),
                    ("element", _text(element)),
                    ("position", _text(position)),
                    ("sample_rate_hz", number(SAMPLE_RATE_HZ)),
                )
            )
    return "\n".join(parts)
