"""Site templates: what they promise, and that the stored sites and cases are what they render.

`python tests/unit/test_site_template.py` writes `deploy/sites/*.toml` and
`tests/cases/sites/*.json` again, after a wanted change of a template or a default.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from karman_grid.config import (
    TEMPLATES,
    ConfigError,
    load_site,
    parse_site,
    render_template,
    resolve_site,
)

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "sites"
SITES = ROOT / "deploy" / "sites"

CASE_TEXTS: dict[str, Callable[[], str]] = {
    "4n3": lambda: render_template("4n3"),
    "3n2": lambda: render_template("3n2"),
    "2n": lambda: render_template("2n"),
    "4n3-skew30": lambda: render_template("4n3", skew=0.3),
}
SITE_TEXTS: dict[str, Callable[[], str]] = {
    "demo": lambda: render_template("4n3", name="demo"),
    "edge-2n-8rack": lambda: render_template("2n", racks=8, name="edge-2n-8rack"),
}


def case_text(name: str) -> str:
    """A resolved site, one row a line, so that a change shows as a small difference."""
    resolved = resolve_site(parse_site(CASE_TEXTS[name]()))
    parts = []
    for key, value in resolved.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in value)
            parts.append(f'"{key}": [\n{rows}\n]')
        else:
            parts.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_all() -> None:
    """Writes every stored site and case as the code renders it now."""
    for name, render in SITE_TEXTS.items():
        (SITES / f"{name}.toml").write_text(render(), encoding="utf-8")
    for name in CASE_TEXTS:
        (CASES / f"{name}.json").write_text(case_text(name), encoding="utf-8")


def pairs_of(site: dict[str, Any]) -> dict[str, str]:
    """Rack id → its pair of feeds, such as `ab`."""
    return {
        rack["id"]: "".join(cord["element"].removeprefix("pdu-") for cord in rack["cords"])
        for rack in site["rack"]
    }


def power_w(site: dict[str, Any]) -> Counter[str]:
    """Largest demand of each pair of feeds, W."""
    pair_of = pairs_of(site)
    total: Counter[str] = Counter()
    for row in site["device"]:
        total[pair_of[row["rack"]]] += row["count"] * (row["fixed_w"] + row.get("cap_max_w", 0.0))
    return total


def feed_w(site: dict[str, Any]) -> dict[str, float]:
    """Largest demand on each feed, all healthy, W."""
    total: dict[str, float] = {}
    for pair, watts in power_w(site).items():
        for letter in pair:
            total[letter] = total.get(letter, 0.0) + watts / 2
    return total


@pytest.mark.parametrize("name", CASE_TEXTS)
def test_stored_case_is_what_the_template_renders(name: str) -> None:
    assert (CASES / f"{name}.json").read_text(encoding="utf-8") == case_text(name)


@pytest.mark.parametrize("name", SITE_TEXTS)
def test_shipped_site_loads_and_is_what_the_template_renders(name: str) -> None:
    path = SITES / f"{name}.toml"
    assert load_site(path).site.name == name
    assert path.read_text(encoding="utf-8") == SITE_TEXTS[name]()


def test_every_shipped_site_has_its_rendering() -> None:
    assert {path.stem for path in SITES.glob("*.toml")} == set(SITE_TEXTS)
    assert {path.stem for path in CASES.glob("*.json")} == set(CASE_TEXTS)


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize("racks", [1, 2, 3, 5, 7, 11, 12, 64, 65, 130])
def test_a_template_of_any_size_passes_the_checks(kind: str, racks: int) -> None:
    site = resolve_site(parse_site(render_template(kind, racks=racks)))
    assert len(site["rack"]) == racks
    assert sum(row["count"] for row in site["device"] if row["kind"] == "gpu") == racks * 16
    assert site["site"]["mode"] == "active"
    assert site["site"]["jobs_wait_for_lease"] is True


def test_the_default_hall() -> None:
    site = resolve_site(parse_site(render_template("4n3")))
    assert Counter(pairs_of(site).values()) == {
        "ab": 11, "cd": 11, "ac": 11, "bd": 11, "ad": 10, "bc": 10,
    }  # fmt: skip
    ratings = {row["id"]: row["rating_w"] for row in site["element"]}
    assert ratings.pop("utility") == 1_250_000
    assert set(ratings.values()) == {250_000}
    assert len(ratings) == 12
    assert sum(power_w(site).values()) == 1_075_200
    assert set(feed_w(site).values()) == {268_800}
    assert site["site"]["contract_w"] == 1_250_000
    assert site["site"]["ramp_up_w_per_s"] == 50_000
    assert site["site"]["ramp_down_w_per_s"] == 100_000
    assert {cord["psu_rating_w"] for rack in site["rack"] for cord in rack["cords"]} == {19_800}
    positions = Counter(row["position"] for row in site["meter"])
    assert positions == {"ups_output": 4, "ups_input": 4}
    assert {row["sample_rate_hz"] for row in site["meter"]} == {32_000}
    assert not any(row["verified"] for row in site["curve"])


@pytest.mark.parametrize(
    ("kind", "pairs", "rating_w"),
    [("3n2", {"ab": 22, "bc": 21, "ac": 21}, 333_333.333), ("2n", {"ab": 64}, 750_000.0)],
)
def test_the_other_halls(kind: str, pairs: dict[str, int], rating_w: float) -> None:
    site = resolve_site(parse_site(render_template(kind)))
    assert Counter(pairs_of(site).values()) == pairs
    feeds = [row for row in site["element"] if row["kind"] == "feed"]
    assert [row["rating_w"] for row in feeds] == [rating_w] * len(feeds)


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize("racks", [1, 8, 12, 64, 100])
def test_any_feed_may_be_lost_at_the_floors(kind: str, racks: int) -> None:
    """With every cap at its lowest the survivors carry the racks, or no cap would ever help."""
    site = resolve_site(parse_site(render_template(kind, racks=racks)))
    floor_of: Counter[str] = Counter()
    pair_of = pairs_of(site)
    for row in site["device"]:
        each = row["fixed_w"] + row.get("cap_min_w", 0.0)
        floor_of[pair_of[row["rack"]]] += row["count"] * each
    rating = {row["id"]: row["rating_w"] for row in site["element"] if row["kind"] == "feed"}
    letters = [feed.removeprefix("feed-") for feed in rating]
    for lost in letters:
        for letter in set(letters) - {lost}:
            on_it = {pair: w for pair, w in floor_of.items() if letter in pair}
            load_w = sum(w if lost in pair else w / 2 for pair, w in on_it.items())
            assert load_w <= rating[f"feed-{letter}"]


@pytest.mark.parametrize("racks", [12, 64, 66, 96])
def test_every_pair_holds_all_tiers_evenly(racks: int) -> None:
    site = resolve_site(parse_site(render_template("4n3", racks=racks)))
    pair_of = pairs_of(site)
    counts: Counter[tuple[str, int]] = Counter()
    for row in site["device"]:
        if row["kind"] == "gpu":
            counts[pair_of[row["rack"]], row["tier"]] += 1
    for pair in set(pair_of.values()):
        of_pair = [counts[pair, tier] for tier in range(4)]
        assert max(of_pair) - min(of_pair) <= 1
    assert len({sum(counts[p, t] for p in set(pair_of.values())) for t in range(4)}) == 1


@pytest.mark.parametrize("racks", [6, 64, 65])
@pytest.mark.parametrize("skew", [-0.5, 0.1, 0.3, 1.0])
def test_skew_makes_the_pairs_exactly_what_it_says(racks: int, skew: float) -> None:
    even_w = racks * 16_800 / 6
    site = resolve_site(parse_site(render_template("4n3", racks=racks, skew=skew)))
    for pair, watts in power_w(site).items():
        factor = 1 + skew if pair in ("ab", "cd") else 1 - skew / 2
        assert watts == pytest.approx(factor * even_w, rel=1e-12)
    assert list(feed_w(site).values()) == pytest.approx([even_w * 1.5] * 4, rel=1e-12)
    for rack in site["rack"]:
        demand_w = sum(
            row["count"] * (row["fixed_w"] + row.get("cap_max_w", 0.0))
            for row in site["device"]
            if row["rack"] == rack["id"]
        )
        assert all(cord["psu_rating_w"] >= demand_w for cord in rack["cords"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("5n4",), 'site template: found "5n4", expected one of 4n3, 3n2, 2n'),
        (("4n3", 0), "site template: --racks: found 0, expected 1 to 4096"),
        (("4n3", 5000), "site template: --racks: found 5000, expected 1 to 4096"),
        (("2n", 8, 0.3), "site template: --skew: found 0.3 for 2n, expected 4n3 with it"),
        (("4n3", 64, 2.0), "site template: --skew: found 2, expected -0.9 to 1.9"),
        (("4n3", 64, float("nan")), "site template: --skew: found nan, expected -0.9 to 1.9"),
        (
            ("4n3", 5, 0.3),
            "site template: --skew: found a pair without racks, expected 6 or more",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render_template(*arguments)
    assert str(caught.value) == message


def test_the_text_explains_itself() -> None:
    text = render_template("4n3")
    assert all(len(line) <= 100 for line in text.split("\n"))
    for word in ("unverified", "Huawei FusionPower6000", "Staco FirstLine", "DGX H100"):
        assert word in text


if __name__ == "__main__":
    write_all()
