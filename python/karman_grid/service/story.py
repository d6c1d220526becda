"""What happens, told to a facility engineer: one line for each turn, and a summary.

Owns the sentences. Reads notes and status documents; decides nothing. May import: `engine`,
`units`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from karman_grid.engine import Note
from karman_grid.units import format_w

__all__ = ["Narrator", "latency_line", "summary"]

# Latencies are told once acknowledgements and watts have had time to come in.
_SETTLED_S = 1.5
# Load that uses this share of the grant has risen as far as the story waits for.
_RISEN_RATIO = 0.95


def _name(element: str) -> str:
    kind, _, letter = element.rpartition("-")
    words = {"feed": "feed", "ups": "UPS", "pdu": "PDU"}
    return f"{words[kind]} {letter.upper()}" if kind in words else element


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def latency_line(latency_ms: Mapping[str, Mapping[str, Any]]) -> str:
    """Detect, decide, deliver and settle of the fired plans, with the reaction that they make."""
    detect, decide = latency_ms["detect"], latency_ms["decide"]
    deliver, settle, react = latency_ms["deliver"], latency_ms["settle"], latency_ms["react"]
    return (
        f"detect {_ms(detect['max'])} ms · decide {_ms(decide['max'])} ms · deliver "
        f"{_ms(deliver['p50'])} ms (median; slowest {_ms(deliver['max'])}) · settle "
        f"{_ms(settle['max'])} ms. From the first abnormal sample to the acknowledged cap: "
        f"median {_ms(react['p50'])}, slowest {_ms(react['max'])} ms over {react['count']} caps"
    )


class Narrator:
    """Turns notes into lines. ``restore_hold_s`` as in the site file."""

    def __init__(self, restore_hold_s: float) -> None:
        self._hold_s = restore_hold_s
        self._tell_at_s: float | None = None
        self._lost = ""
        self._restoring = False
        self._risen = False

    def opening(self, status: Mapping[str, Any], devices: int) -> Iterator[str]:
        """Where the hall stands at the start."""
        feeds = status["feeds"]
        agents = status["agents"]
        yield (
            f"Site {status['site']!r}, mode {status['mode']}: {devices:,} GPUs behind "
            f"{agents['ready']} of {agents['total']} agents on {len(feeds)} feeds, "
            f"{format_w(status['rating_w'])} in all."
        )
        static_w = _static_w(status)
        yield (
            f"The static rule allows {format_w(static_w)} ({static_w / status['rating_w']:.0%}); "
            f"{status['contingencies_armed']} armed contingencies allow "
            f"{format_w(status['grant_w'])} more, {status['grant_ratio']:.0%} of the reserve. "
            f"{_binding(status['binding'])}"
        )
        above_w = status["load_w"] - static_w
        side = "above" if above_w >= 0 else "below"
        yield (
            f"Caps start at the fallback and rise by the ramp. Load now: "
            f"{format_w(status['load_w'])}, {format_w(abs(above_w))} {side} that rule."
        )

    def tell(self, note: Note) -> Iterator[str]:
        """Lines for one note; most notes need none."""
        at = f"{note.at_s:6.1f} s  "
        values = note.values
        match note.kind, values.get("event"):
            case "event", "feed-lost" | "feeds-lost":
                self._lost = values["element"]
                yield (
                    f"{at}{_capital(_name(self._lost))} is lost: "
                    f"{values['depth_ratio']:.0%} of its voltage is left and its current is gone."
                )
            case "event", "source-lost":
                yield (
                    f"{at}The supply of {_name(values['element'])} is gone; its battery carries "
                    "the load. Raises are frozen, nothing is cut."
                )
            case "event", "sag":
                yield f"{at}Voltage dips at {_name(values['element'])}: raises frozen, no cut."
            case "event", "cancelled":
                name = _capital(_name(values["element"]))
                yield f"{at}{name} holds voltage after all: given back."
            case "event", "blind":
                yield f"{at}Meter {values['meter']} is silent: the grant shrinks, no feed is lost."
            case "event", "restored" if values["element"] == self._lost:
                yield (
                    f"{at}{_capital(_name(self._lost))} carries voltage again. Caps stay for the "
                    f"restore hold of {self._hold_s:g} s."
                )
            case "decision", _ if values["because"] == "fired":
                self._tell_at_s = note.at_s + _SETTLED_S
                yield f"{at}Its armed plan is fired: {values['lowered']} GPUs get lower caps."
            case "decision", _ if values["because"] == "infeasible":
                yield f"{at}Beyond design: no plan is feasible; everything that helps is cut."
            case "escalation", _:
                yield f"{at}{_capital(values['who'])} {values['id']} does not obey: cut around it."
            case "trip", _:
                yield f"{at}TRIPPED: {_name(values['element'])}."
            case "mode", _:
                yield from self._mode(at, values["mode"])

    def _mode(self, at: str, mode: str) -> Iterator[str]:
        if mode == "restoring":
            self._restoring = True
            yield f"{at}The hold is over: caps return by the ramp."
        elif mode == "normal" and self._restoring:
            self._restoring = False
            yield f"{at}Caps are back where demand and grant put them."
        elif mode == "latched":
            yield f"{at}Too many reversals: caps stay low until an operator acts."

    def _rise(self, now_s: float, status: Mapping[str, Any]) -> Iterator[str]:
        static_w = _static_w(status)
        above_w = status["load_w"] - static_w
        if self._risen or above_w < _RISEN_RATIO * status["grant_w"] or status["grant_w"] <= 0:
            return
        self._risen = True
        yield (
            f"{now_s:6.1f} s  Load has risen to {format_w(status['load_w'])}: "
            f"{format_w(above_w)} above the static rule, inside the grant."
        )

    def later(self, now_s: float, status: Mapping[str, Any]) -> Iterator[str]:
        """Lines that wait for acknowledgements, for watts to settle, or for caps to rise."""
        yield from self._rise(now_s, status)
        if self._tell_at_s is None or now_s < self._tell_at_s:
            return
        self._tell_at_s = None
        at = f"{now_s:6.1f} s  "
        yield f"{at}{_capital(latency_line(status['latency_ms']))}."
        left = [feed for feed in status["feeds"] if feed["state"] != "lost"]
        if not left:
            yield f"{at}No feed is left."
            return
        fullest = max(left, key=_load_ratio)
        ratio = _load_ratio(fullest)
        verdict = "within their limits" if ratio <= 1 else "NOT all within their limits"
        used = max(feed["accumulator_ratio"] for feed in left)
        tripped = "no element tripped" if status["trips"] == 0 else f"{status['trips']} tripped"
        yield (
            f"{at}The remaining feeds are {verdict}: {_name(fullest['id'])} is fullest at "
            f"{ratio:.1%}; {used:.1%} of an overload curve used; {tripped}. Load "
            f"{format_w(status['load_w'])}."
        )


def _static_w(status: Mapping[str, Any]) -> float:
    return float(status["rating_w"] - max(feed["limit_w"] for feed in status["feeds"]))


def _load_ratio(feed: Mapping[str, Any]) -> float:
    return float((feed["power_w"] or 0.0) / feed["limit_w"])


def _binding(binding: Mapping[str, Any] | None) -> str:
    if binding is None:
        return "Nothing binds."
    where = _name(binding["element"])
    if binding["contingency"] is None:
        return f"What binds is {where} as it is now, at the worst declared sharing."
    return f"What binds is {where} after a loss of {_name(binding['contingency'])}."


def summary(document: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    """The run in numbers; ``document`` is the result document, judged by the checker."""
    static_w = _static_w(status)
    before_ratio = document["utilisation_before_ratio"]
    load_w = status["load_w"] if before_ratio is None else before_ratio * status["rating_w"]
    verdict = "safe" if document["unsafe"] == 0 and document["trips"] == 0 else "NOT SAFE"
    yield "Summary"
    yield (
        f"  Verdict of the independent checker: {verdict} ({document['unsafe']} violations, "
        f"{document['trips']} trips)."
    )
    yield (
        f"  Gained over the static rule: {format_w(load_w - static_w)} "
        f"({(load_w - static_w) / static_w:+.0%}) at {format_w(load_w)}."
    )
    peak = document["survivor_peak_ratio"]
    if peak is not None and document["time_to_limit_ms"] is not None:
        yield (
            f"  After the loss the fullest survivor stood at {peak:.0%}; every survivor was within "
            f"its limit for good after {document['time_to_limit_ms']:.0f} ms, with "
            f"{document['accumulator_max_ratio']:.1%} of an overload curve used (planned: 50 %)."
        )
        yield f"  {_capital(latency_line(document['latency_ms']))}."
        yield "  Writes, transport and decision take the times that the scenario declares."
    yield (
        f"  Energy {document['energy_kwh']:.2f} kWh; {document['work_lost_ratio']:.1%} of the work "
        f"asked for was not done; {document['critical_shed_w']:.0f} W withheld from tier 0."
    )
