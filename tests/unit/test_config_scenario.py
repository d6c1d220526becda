"""Scenario files: what the built-in ones say, and how each wrong one is told, with its line."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from karman_grid.config import (
    EVENT_KINDS,
    ConfigError,
    list_scenarios,
    load_scenario,
    load_site_of,
    open_site,
    parse_scenario,
    parse_site,
    resolve_scenario,
)
from karman_grid.config.scenario import Timing

from tests.unit.test_config_site import GOOD as SITE

GOOD = """\
schema = 1
site = "4n3"
duration_s = 25
[demand]
kind = "inference"
level_ratio = { value = 1.06, source = "chosen", verified = false }
fluctuation_ratio = 0.02
[timing]
decide_ms = 0.7
write_p99_ms = { value = 15, source = "a drill" }
[[event]]
kind = "feed-loss"
element = "feed-*"
at_s = { min = 5, max = 5.02 }
[[event]]
kind = "grid-sag"
at_s = 10
duration_s = 0.5
value = 0.7
[[event]]
kind = "meter-frozen"
meter = "m-feed-a"
at_s = 11
[[event]]
kind = "write-ignored"
value = 0.05
at_s = 12
"""
KINDS = ", ".join(f'"{kind}"' for kind in list(EVENT_KINDS)[:-1]) + f' or "{[*EVENT_KINDS][-1]}"'

# Text to replace, its replacement, line of the problem, and the whole message after FILE:LINE.
BAD: dict[str, tuple[str, str, int, str]] = {
    "unknown key": (
        "duration_s = 25",
        "duration_s = 25\nseed = 3",
        4,
        'seed: found unknown key "seed", expected one of schema, description, site, duration_s, '
        "grain, demand, timing, event",
    ),
    "other unit": (
        "duration_s = 25",
        "duration_min = 1",
        3,
        'duration_min: found unknown key "duration_min", expected a known key; '
        "did you mean duration_s (seconds)?",
    ),
    "time in a text": (
        "decide_ms = 0.7",
        'decide_ms = "1 s"',
        9,
        'timing.decide_ms: found "1 s", expected a number of milliseconds without quotes: '
        "decide_ms = 1000",
    ),
    "negative time": (
        "decide_ms = 0.7",
        "decide_ms = -1",
        9,
        "timing.decide_ms: found -1, expected a number of milliseconds at least 0",
    ),
    "parameter without a value": (
        'write_p99_ms = { value = 15, source = "a drill" }',
        'write_p99_ms = { source = "a drill" }',
        10,
        "timing.write_p99_ms.value: found nothing, expected the value",
    ),
    "parameter with a wrong value": (
        "{ value = 1.06,",
        '{ value = "much",',
        6,
        'demand.level_ratio.value: found "much", expected a number without quotes',
    ),
    "p99 under the median": (
        "{ value = 15,",
        "{ value = 1,",
        10,
        "timing.write_p99_ms: found write_p99_ms = 1 under write_median_ms = 3, "
        "expected write_median_ms at most write_p99_ms",
    ),
    "unknown event kind": (
        'kind = "feed-loss"',
        'kind = "feed-los"',
        12,
        f'event[0].kind: found "feed-los", expected one of {KINDS}; did you mean "feed-loss"?',
    ),
    "event without a target": (
        'element = "feed-*"\n',
        "",
        11,
        "event[0].element: found nothing, expected what the feed-loss happens to",
    ),
    "event with another target": (
        'element = "feed-*"',
        'element = "feed-*"\nmeter = "m-feed-a"',
        14,
        "event[0].meter: found meter of a feed-loss, expected element",
    ),
    "event with a value": (
        'element = "feed-*"',
        'element = "feed-*"\nvalue = 1',
        14,
        "event[0].value: found value of a feed-loss, expected no such key for this kind",
    ),
    "event without a value": (
        "value = 0.7\n",
        "",
        15,
        "event[1].value: found nothing, expected the residual voltage, 0 to 1 of nominal",
    ),
    "value out of range": (
        "value = 0.7\n",
        "value = 70\n",
        19,
        "event[1].value: found 70, expected the residual voltage, 0 to 1 of nominal",
    ),
    "event without a duration": (
        "duration_s = 0.5\n",
        "",
        15,
        "event[1].duration_s: found nothing, expected how long it lasts",
    ),
    "min above max": (
        "min = 5,",
        "min = 6,",
        14,
        "event[0].at_s: found min = 6 above max = 5.02, expected min at most max",
    ),
    "after the end": (
        "at_s = 11",
        "at_s = 30",
        23,
        "event[2].at_s: found 30, expected an instant within duration_s = 25",
    ),
    "bad pattern": (
        'element = "feed-*"',
        'element = "*-a"',
        13,
        'event[0].element: found "*-a", '
        'expected an id, or its start and a star: "feed-*" is one feed, drawn by the seed',
    ),
    "file without its kind": (
        'kind = "inference"',
        'kind = "inference"\nfile = "a.csv"',
        6,
        'demand.file: found a file with kind = "inference", '
        'expected this key with kind = "file" only',
    ),
    "kind without its file": (
        'kind = "inference"',
        'kind = "file"',
        4,
        'demand.file: found nothing, expected a file of arrivals, for kind = "file"',
    ),
    "constant without a level": (
        'kind = "inference"\nlevel_ratio = { value = 1.06, source = "chosen", verified = false }',
        'kind = "constant"',
        4,
        "demand.level_ratio: found nothing, expected demand ÷ sum of the feed ratings, "
        'for kind = "constant"',
    ),
    "no demand": (
        '[demand]\nkind = "inference"\nlevel_ratio = { value = 1.06, source = "chosen", '
        "verified = false }\nfluctuation_ratio = 0.02\n",
        "",
        0,
        "demand: found nothing, expected the table [demand]",
    ),
}
# The same, for scenarios that are right by themselves and aim at what the site lacks.
MISSED: dict[str, tuple[str, str, int, str]] = {
    "pattern": (
        '"feed-*"',
        '"bus-*"',
        13,
        'event[0].element: found "bus-*", which matches nothing, '
        'expected the id of an element of kind "feed" of the site',
    ),
    "element of another kind": (
        '"feed-*"',
        '"ups-a"',
        13,
        'event[0].element: found "ups-a", expected the id of an element of kind "feed" of the site',
    ),
    "meter": (
        '"m-feed-a"',
        '"m-fed-a"',
        22,
        'event[2].meter: found "m-fed-a", expected the id of a meter of the site; '
        'did you mean "m-feed-a"?',
    ),
    "device": (
        'kind = "write-ignored"',
        'kind = "write-ignored"\ndevice = "r01-s1-gpu-8"',
        26,
        'event[3].device: found "r01-s1-gpu-8", expected the id of a device of the site; '
        'did you mean "r01-s1-gpu"?',
    ),
}


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times in the good file"
    return GOOD.replace(old, new)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_scenario_names_line_found_and_expected(case: str, tmp_path: Path) -> None:
    old, new, line, message = BAD[case]
    path = tmp_path / "mine.toml"
    path.write_text(edited(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    where = f"{path}:{line}" if line else str(path)
    told = f"{where}: {message}"
    assert any(row == told or (row[-1] == "…" and told.startswith(row[:-1]))
               for row in str(caught.value).split("\n")), str(caught.value)  # fmt: skip


@pytest.mark.parametrize("case", MISSED)
def test_an_event_that_aims_at_nothing_is_told(case: str) -> None:
    old, new, line, message = MISSED[case]
    scenario = parse_scenario(edited(old, new), "mine.toml")
    assert resolve_scenario(scenario)["name"] == "mine"
    with pytest.raises(ConfigError) as caught:
        resolve_scenario(scenario, open_site("4n3"))
    assert str(caught.value) == f"mine.toml:{line}: {message}"


@pytest.mark.parametrize("device", ["r01-s1-gpu", "r01-s1-gpu-7", "r01-*", "*"])
def test_devices_are_named_by_row_by_number_or_by_their_start(device: str) -> None:
    text = edited('kind = "write-ignored"', f'kind = "write-ignored"\ndevice = "{device}"')
    event = resolve_scenario(parse_scenario(text), open_site("4n3"))["event"][3]
    assert event["device"] == device


def test_resolved_form() -> None:
    resolved = resolve_scenario(parse_scenario(GOOD, "mine.toml"))
    timing = resolved.pop("timing")
    assert resolved == {
        "schema": 1,
        "name": "mine",
        "duration_s": 25.0,
        "grain": "fine",
        "demand": {
            "kind": "inference",
            "level_ratio": 1.06,
            "arrival_scale": None,
            "fluctuation_ratio": 0.02,
        },
        "event": [
            {"kind": "feed-loss", "element": "feed-*", "at_s_min": 5.0, "at_s_max": 5.02},
            {"kind": "grid-sag", "at_s_min": 10.0, "at_s_max": 10.0, "duration_s": 0.5,
             "value": 0.7},
            {"kind": "meter-frozen", "meter": "m-feed-a", "at_s_min": 11.0, "at_s_max": 11.0},
            {"kind": "write-ignored", "value": 0.05, "at_s_min": 12.0, "at_s_max": 12.0},
        ],
    }  # fmt: skip
    assert timing["decide_ms"] == 0.7
    assert timing["write_p99_ms"] == 15.0
    assert timing["serialise_per_host"] is False
    assert list(timing) == list(Timing.model_fields)
    json.dumps(resolved, allow_nan=False)


def test_duration_may_be_overridden() -> None:
    assert resolve_scenario(parse_scenario(GOOD), duration_s=6)["duration_s"] == 6.0


def test_paths_start_from_the_folder_of_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "own-site.toml").write_text(SITE, encoding="utf-8")
    text = GOOD.replace('"4n3"', '"own-site.toml"').replace('kind = "inference"', 'kind = "file"')
    text = text.replace("fluctuation_ratio = 0.02", 'file = "arrivals.csv"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    scenario = load_scenario(tmp_path / "mine.toml")
    assert scenario.name == "mine"
    assert scenario.demand_file == tmp_path / "arrivals.csv"
    assert load_site_of(scenario) == parse_site(SITE)
    assert load_site_of(scenario, "2n").site.name == "2n-64-racks"


def test_words_that_are_no_scenario_or_site_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenario("fed-loss")
    assert str(caught.value).startswith("fed-loss: found no such file or built-in scenario")
    assert str(caught.value).endswith('did you mean "feed-loss"?')
    with pytest.raises(ConfigError) as caught:
        open_site("4n4")
    assert str(caught.value) == (
        "4n4: found no such file or template, expected a site file or one of 4n3, 3n2, 2n; "
        'did you mean "4n3"?'
    )


def raw_of(name: str) -> dict[str, Any]:
    """A built-in scenario as its file says it."""
    entry = files("karman_grid") / "twin" / "scenarios" / f"{name}.toml"
    return tomllib.loads(entry.read_text(encoding="utf-8"))


def test_the_built_in_scenarios() -> None:
    assert list(list_scenarios()) == [
        "controller-killed",
        "demo",
        "feed-loss",
        "grid-sag",
        "ignored-caps",
        "inference-day",
        "source-loss",
        "steady",
    ]
    assert all(20 < len(words) <= 100 for words in list_scenarios().values())


@pytest.mark.parametrize("name", list_scenarios())
def test_a_built_in_scenario_resolves_against_its_site(name: str) -> None:
    scenario = load_scenario(name)
    site = load_site_of(scenario)
    resolved = resolve_scenario(scenario, site)
    assert resolved["name"] == name
    assert site.mode == "active"
    assert resolved["duration_s"] == {"inference-day": 3600.0, "demo": 50.0}.get(name, 25.0)
    assert resolved["grain"] == ("adaptive" if name == "inference-day" else "fine")
    steady = name in ("steady", "grid-sag", "source-loss")
    assert resolved["demand"]["kind"] == ("constant" if steady else "inference")


@pytest.mark.parametrize("name", list_scenarios())
def test_a_built_in_scenario_names_every_source_and_keeps_the_defaults(name: str) -> None:
    raw = raw_of(name)
    wanted = {"write_ignored_ratio"} if name == "ignored-caps" else set()
    assert list(raw["timing"]) == list(Timing.model_fields)
    for key, row in raw["timing"].items():
        assert row["source"]
        assert row["verified"] is False
        default = getattr(Timing(), key).value
        assert (row["value"] != default) == (key in wanted)
    for key, row in raw["demand"].items():
        assert key == "kind" or row["source"]


def test_events_of_the_built_in_scenarios() -> None:
    def told(name: str) -> list[tuple[Any, ...]]:
        keys = ("kind", "element", "at_s_min", "at_s_max", "duration_s", "value")
        events = resolve_scenario(load_scenario(name))["event"]
        return [tuple(event.get(key) for key in keys) for event in events]

    any_feed = ("feed-loss", "feed-*", 5.0, 5.02, None, None)
    assert told("steady") == told("inference-day") == []
    assert told("feed-loss") == told("ignored-caps") == [any_feed]
    assert told("grid-sag") == [("grid-sag", None, 5.0, 5.02, 0.5, 0.7)]
    assert told("source-loss") == [("source-loss", "ups-*", 5.0, 5.02, 5.0, None)]
    assert told("controller-killed") == [
        ("controller-kill", None, 5.0, 5.0, None, None),
        ("feed-loss", "feed-*", 5.1, 5.1, None, None),
    ]
    assert told("demo") == [("feed-loss", "feed-b", 10.0, 10.0, 15.0, None)]
    assert resolve_scenario(load_scenario("inference-day"))["demand"]["level_ratio"] is None
