"""The sentences of the story, from notes made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from karman_grid.engine import Note
from karman_grid.service.story import Narrator, summary


def quantiles(value: float | None, count: int = 1) -> dict[str, Any]:
    return {"p50": value, "p99": value, "p999": value, "max": value, "count": count}


LATENCY_MS = {
    "detect": quantiles(3.0),
    "decide": quantiles(0.5),
    "deliver": quantiles(3.4, 768),
    "settle": quantiles(34.04),
    "react": quantiles(6.9, 768),
    "react_event": quantiles(9.3),
    "react_all": quantiles(6.9, 768),
}


def feed(name: str, power_w: float | None, state: str = "line") -> dict[str, Any]:
    return {
        "id": name,
        "power_w": power_w,
        "limit_w": 250_000.0,
        "state": state,
        "accumulator_ratio": 0.004,
    }


def status(*feeds: dict[str, Any], **others: Any) -> dict[str, Any]:
    shown = feeds or tuple(feed(f"feed-{letter}", 235_000.0) for letter in "abcd")
    return {
        "site": "hall",
        "mode": "active",
        "load_w": sum(f["power_w"] or 0.0 for f in shown),
        "rating_w": 1_000_000.0,
        "grant_w": 211_500.0,
        "grant_ratio": 0.846,
        "binding": {"contingency": "ups-b", "element": "feed-a", "phase": None},
        "contingencies_armed": 12,
        "agents": {"ready": 127, "total": 128},
        "feeds": list(shown),
        "latency_ms": LATENCY_MS,
        "trips": 0,
        **others,
    }


def told(kind: str, **values: Any) -> list[str]:
    return list(Narrator(10.0).tell(Note(12.34, kind, values)))


def test_the_opening_says_where_the_hall_stands() -> None:
    lines = list(Narrator(10.0).opening(status(), 1024))
    assert lines == [
        "Site 'hall', mode active: 1,024 GPUs behind 127 of 128 agents on 4 feeds, 1 MW in all.",
        "The static rule allows 750 kW (75%); 12 armed contingencies allow 211.5 kW more, 85% of "
        "the reserve. What binds is feed A after a loss of UPS B.",
        "Caps start at the fallback and rise by the ramp. Load now: 940 kW, 190 kW above that "
        "rule.",
    ]


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        (None, "Nothing binds."),
        ({"contingency": None, "element": "ups-a", "phase": None}, "UPS A as it is now"),
        ({"contingency": "pdu-c", "element": "row 7", "phase": 2}, "row 7 after a loss of PDU C"),
    ],
)
def test_what_binds_is_named(binding: dict[str, Any] | None, words: str) -> None:
    assert words in list(Narrator(10.0).opening(status(binding=binding), 8))[1]


def test_a_load_below_the_static_rule_is_said_to_be_below() -> None:
    shown = status(*(feed(f"feed-{letter}", 100_000.0) for letter in "abcd"))
    assert list(Narrator(10.0).opening(shown, 8))[2] == (
        "Caps start at the fallback and rise by the ramp. Load now: 400 kW, 350 kW below that rule."
    )


def test_the_rise_to_the_grant_is_told_once() -> None:
    narrator = Narrator(10.0)
    low = status(*(feed(f"feed-{letter}", 180_000.0) for letter in "abcd"))
    assert list(narrator.later(1.0, low)) == []
    high = status(*(feed(f"feed-{letter}", 239_000.0) for letter in "abcd"))
    assert list(narrator.later(8.4, high)) == [
        "   8.4 s  Load has risen to 956 kW: 206 kW above the static rule, inside the grant."
    ]
    assert list(narrator.later(8.5, high)) == []


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (
            "event",
            {"event": "feed-lost", "element": "feed-b", "depth_ratio": 0.04},
            "Feed B is lost: 4% of its voltage is left",
        ),
        ("event", {"event": "source-lost", "element": "ups-c"}, "The supply of UPS C is gone"),
        ("event", {"event": "sag", "element": "ups-a"}, "raises frozen, no cut"),
        ("event", {"event": "cancelled", "element": "feed-d"}, "Feed D holds voltage after all"),
        ("event", {"event": "blind", "meter": "m-7"}, "Meter m-7 is silent"),
        ("decision", {"because": "fired", "lowered": 768}, "768 GPUs get lower caps"),
        ("decision", {"because": "infeasible"}, "no plan is feasible"),
        ("escalation", {"who": "device", "id": "r1-gpu-3"}, "Device r1-gpu-3 does not obey"),
        ("trip", {"element": "pdu-a"}, "TRIPPED: PDU A"),
        ("mode", {"mode": "latched"}, "until an operator acts"),
    ],
)
def test_a_note_becomes_a_sentence(kind: str, values: dict[str, Any], words: str) -> None:
    (line,) = told(kind, **values)
    assert line.startswith("  12.3 s  ")
    assert words in line
    assert line.endswith(".")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("decision", {"because": "allocated", "lowered": 3}),
        ("event", {"event": "restored", "element": "feed-z"}),
        ("mode", {"mode": "normal"}),
        ("something new", {}),
    ],
)
def test_what_nobody_needs_is_not_told(kind: str, values: dict[str, Any]) -> None:
    assert told(kind, **values) == []


def test_the_return_is_told_of_the_feed_that_was_lost() -> None:
    narrator = Narrator(7.5)
    lost = {"event": "feed-lost", "element": "feed-b", "depth_ratio": 0.0}
    assert len(list(narrator.tell(Note(1.0, "event", lost)))) == 1
    back = {"event": "restored", "element": "feed-b"}
    (line,) = narrator.tell(Note(9.0, "event", back))
    assert "Feed B carries voltage again. Caps stay for the restore hold of 7.5 s." in line
    (line,) = narrator.tell(Note(17.0, "mode", {"mode": "restoring"}))
    assert "return by the ramp" in line
    (line,) = narrator.tell(Note(30.0, "mode", {"mode": "normal"}))
    assert "Caps are back" in line


def after_firing(now_s: float, shown: dict[str, Any]) -> list[str]:
    narrator = Narrator(10.0)
    assert list(narrator.later(now_s, shown)) == []
    list(narrator.tell(Note(10.0, "decision", {"because": "fired", "lowered": 768})))
    return list(narrator.later(now_s, shown))


LEFT = (feed("feed-a", 240_000.0), feed("feed-b", 0.0, "lost"), feed("feed-c", 245_000.0))


def test_latencies_are_told_once_they_are_in() -> None:
    assert after_firing(11.0, status(*LEFT)) == []
    first, second = after_firing(11.6, status(*LEFT))
    assert "Detect 3.0 ms · decide 0.5 ms · deliver 3.4 ms (median; slowest 3.4)" in first
    assert "settle 34.0 ms" in first
    assert "over 768 caps" in first
    assert "within their limits: feed C is fullest at 98.0%" in second
    assert "0.4% of an overload curve used; no element tripped. Load 485 kW." in second


def test_trouble_is_never_called_fine() -> None:
    over = (feed("feed-a", 262_500.0), feed("feed-b", None, "lost"))
    _, second = after_firing(12.0, status(*over, trips=2))
    assert "NOT all within their limits: feed A is fullest at 105.0%" in second
    assert "2 tripped" in second
    _, second = after_firing(12.0, status(feed("feed-a", None, "lost")))
    assert "No feed is left." in second


def document(**others: Any) -> dict[str, Any]:
    return {
        "unsafe": 0,
        "trips": 0,
        "survivor_peak_ratio": 1.239,
        "time_to_limit_ms": 123.3,
        "accumulator_max_ratio": 0.0015,
        "latency_ms": LATENCY_MS,
        "energy_kwh": 1.7362,
        "work_lost_ratio": 0.25,
        "critical_shed_w": 0.0,
        "utilisation_before_ratio": None,
        **others,
    }


def test_the_summary_counts_what_was_gained() -> None:
    text = "\n".join(summary(document(utilisation_before_ratio=0.96), status()))
    assert "checker: safe (0 violations, 0 trips)" in text
    assert "Gained over the static rule: 210 kW (+28%) at 960 kW." in text
    assert "stood at 124%" in text
    assert "after 123 ms" in text


@pytest.mark.parametrize("trouble", [{"unsafe": 1}, {"trips": 1}])
def test_the_summary_says_what_went_wrong(trouble: dict[str, int]) -> None:
    text = "\n".join(summary(document(**trouble), status()))
    assert "checker: NOT SAFE" in text


def test_the_summary_of_a_quiet_run_speaks_of_no_loss() -> None:
    quiet = document(survivor_peak_ratio=None, time_to_limit_ms=None)
    text = "\n".join(summary(quiet, status()))
    assert "After the loss" not in text
    assert "Detect" not in text
