"""What the keys of a scenario mean together, and whether its events aim at what the site has.

Owns the rules of event kinds as applied to a file. May import: `config.{problems,scenario,site}`.
"""

from __future__ import annotations

from collections.abc import Iterable

from karman_grid.config.problems import Report
from karman_grid.config.scenario import EVENT_RULES, Demand, Event, ScenarioFile, Timing
from karman_grid.config.site import Site

__all__ = ["check_scenario", "check_targets"]

TARGETS = ("element", "device", "meter")
ELEMENT_KINDS: dict[str, str] = {"feed-loss": "feed", "source-loss": "ups", "grid-sag": "ups"}
"""Kind of the element that an event kind happens to."""


def check_scenario(spec: ScenarioFile, report: Report) -> None:
    """Adds every problem of ``spec`` taken alone to ``report``."""
    _demand(spec.demand, report)
    _timing(spec.timing, report)
    for row, event in enumerate(spec.event):
        _event(row, event, spec.duration_s, report)


def _demand(demand: Demand, report: Report) -> None:
    if demand.kind == "file" and demand.file is None:
        report.add(("demand", "file"), "nothing", 'a file of arrivals, for kind = "file"')
    if demand.kind != "file" and demand.file is not None:
        found = f'a file with kind = "{demand.kind}"'
        report.add(("demand", "file"), found, 'this key with kind = "file" only')
    if demand.kind in ("constant", "training") and demand.level_ratio is None:
        wanted = f'demand ÷ sum of the feed ratings, for kind = "{demand.kind}"'
        report.add(("demand", "level_ratio"), "nothing", wanted)
    if demand.kind in ("constant", "training") and demand.arrival_scale is not None:
        found = f'this key with kind = "{demand.kind}"'
        report.add(("demand", "arrival_scale"), found, "it with inference or file only")


def _timing(timing: Timing, report: Report) -> None:
    pairs = (
        ("transport_median_ms", "transport_p99_ms"),
        ("write_median_ms", "write_p99_ms"),
        ("gpu_dead_time_min_ms", "gpu_dead_time_max_ms"),
    )
    for low_key, high_key in pairs:
        low, high = getattr(timing, low_key).value, getattr(timing, high_key).value
        if low > high:
            key = high_key if high_key in timing.model_fields_set else low_key
            found = f"{high_key} = {high:.15g} under {low_key} = {low:.15g}"
            report.add(("timing", key), found, f"{low_key} at most {high_key}")


def _event(row: int, event: Event, duration_s: float, report: Report) -> None:
    rule = EVENT_RULES[event.kind]
    for key in TARGETS:
        given = getattr(event, key) is not None
        if given and key not in rule.targets:
            wanted = " or ".join(rule.targets) or "no target"
            report.add(("event", row, key), f"{key} of a {event.kind}", wanted)
        elif not given and key in rule.targets and rule.target == "must":
            report.add(("event", row, key), "nothing", f"what the {event.kind} happens to")
    for key, need in (("value", rule.value), ("duration_s", rule.duration)):
        given = getattr(event, key) is not None
        words = rule.value_words if key == "value" else "how long it lasts"
        if given and need == "no":
            report.add(("event", row, key), f"{key} of a {event.kind}", "no such key for this kind")
        elif not given and need == "must":
            report.add(("event", row, key), "nothing", words)
    value = event.value if rule.value != "no" else None
    if value is not None and not rule.value_min <= value <= rule.value_max:
        report.add(("event", row, "value"), f"{value:.15g}", rule.value_words)
    _instant(row, event, duration_s, report)


def _instant(row: int, event: Event, duration_s: float, report: Report) -> None:
    low, high = event.at_s.min, event.at_s.max
    if low > high:
        found = f"min = {low:.15g} above max = {high:.15g}"
        report.add(("event", row, "at_s"), found, "min at most max")
    elif high > duration_s:
        wanted = f"an instant within duration_s = {duration_s:.15g}"
        report.add(("event", row, "at_s"), f"{high:.15g}", wanted)


def check_targets(spec: ScenarioFile, site: Site, report: Report) -> None:
    """Adds each event that aims at nothing of ``site`` to ``report``."""
    rows = {device.id: device.count for device in site.device}
    meters = [meter.id for meter in site.meter]
    for row, event in enumerate(spec.event):
        if event.element is not None:
            kind = ELEMENT_KINDS.get(event.kind)
            ids = [e.id for e in site.element if kind is None or e.kind == kind]
            thing = f'an element of kind "{kind}" of the site' if kind else "an element of the site"
            _aimed(("event", row, "element"), event.element, thing, ids, report)
        if event.device is not None and not _is_device(event.device, rows):
            _aimed(("event", row, "device"), event.device, "a device of the site", rows, report)
        if event.meter is not None:
            _aimed(("event", row, "meter"), event.meter, "a meter of the site", meters, report)


def _is_device(target: str, rows: dict[str, int]) -> bool:
    """Whether ``target`` is one device of a counted row, such as `r01-s1-gpu-3`."""
    stem, _, tail = target.rpartition("-")
    if not tail.isdecimal() or len(tail) > 6 or str(int(tail)) != tail:
        return False
    return rows.get(stem, 1) > 1 and int(tail) < rows[stem]


def _aimed(
    path: tuple[str | int, ...], target: str, thing: str, ids: Iterable[str], report: Report
) -> None:
    known = list(ids)
    if target.endswith("*"):
        if not any(one.startswith(target[:-1]) for one in known):
            report.add(path, f'"{target}", which matches nothing', f"the id of {thing}")
    elif target not in known:
        report.add(path, f'"{target}"', f"the id of {thing}{report.did_you_mean(target, known)}")
