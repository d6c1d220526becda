"""What the rows of a site file mean together: ids, references, the power path, shares, curves.

Owns every rule that one key alone cannot break. Each rule is one function that adds to a report;
all of them run, so that a file is mended in one go. May import: `config.{problems,site}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from karman_grid.config.check_flow import check_floors
from karman_grid.config.problems import (
    Report,
    printable,
    suggest_key,
)
from karman_grid.config.shape import keys_of
from karman_grid.config.site import Actuator, Policy, Port, Site

__all__ = ["check_site"]

DEVICES_MAX = 131_072
"""Controllable devices that one engine takes."""
SHARES_TOLERANCE = 1e-6
PORT_TABLES = ("source", "actuator", "workload", "program", "face")
ID_TABLES = ("element", "rack", "device", "meter", "curve", *PORT_TABLES, "policy")


def check_site(site: Site, report: Report) -> None:
    """Adds every problem of ``site`` to ``report``; raises nothing itself."""
    for table in ID_TABLES:
        _unique_ids(table, [row.id for row in getattr(site, table)], report)
    path_is_whole = _path(site, report)
    _elements(site, report)
    _racks(site, report)
    _devices(site, report)
    _numbered(site, report)
    _meters(site, report)
    _curves(site, report)
    _ports(site, report)
    if path_is_whole:
        check_floors(site, report)


def _unique_ids(table: str, ids: Sequence[str], report: Report) -> None:
    first: dict[str, int] = {}
    for index, row_id in enumerate(ids):
        if row_id in first:
            line = report.line((table, first[row_id], "id"))
            found = f'"{row_id}" again, already the id of the {table} on line {line}'
            report.add((table, index, "id"), found, f"an id that no other {table} has")
        first.setdefault(row_id, index)


def _known(
    path: tuple[str | int, ...],
    word: str,
    kind: str,
    known: Iterable[str],
    report: Report,
) -> bool:
    ids = known if isinstance(known, set | dict) else set(known)
    if word in ids:
        return True
    meant = report.did_you_mean(word, ids)
    report.add(path, f'"{word}"', f"the id of {kind}{meant}")
    return False


def _path(site: Site, report: Report) -> bool:
    """Parents exist, lead nowhere back, and end at a utility or a generator.

    An orphan always has a cause among these three, and the cause is what is told.
    """
    ids = {element.id for element in site.element}
    whole = True
    for row, element in enumerate(site.element):
        for parent in element.parents:
            whole &= _known(("element", row, "parents"), parent, "an [[element]]", ids, report)
        if not element.parents and not element.is_root:
            found = "no parents: an orphan that no utility or generator reaches"
            report.add(("element", row, "parents"), found, "the ids of what feeds it")
            whole = False
    return not _cycles(site, report) and whole


def _cycles(site: Site, report: Report) -> bool:
    """Reports each ring of parents once; says whether there is one."""
    parents = {e.id: e.parents for e in site.element}
    row_of = {e.id: row for row, e in enumerate(site.element)}
    done: set[str] = set()
    any_ring = False
    for start in parents:
        trail: list[str] = []
        place: dict[str, int] = {}
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in done:
            stack.append((start, iter(parents[start])))
            place[start] = 0
            trail.append(start)
        while stack:
            node, rest = stack[-1]
            parent = next(rest, None)
            if parent is None:
                stack.pop()
                done.add(trail.pop())
                del place[node]
            elif parent in place:
                ring = [*trail[place[parent] :], parent]
                any_ring = True
                found = "a cycle: " + " → ".join(_short(ring))
                path = ("element", row_of[node], "parents")
                report.add(path, found, "parents that lead to a utility or a generator")
            elif parent in parents and parent not in done:
                place[parent] = len(trail)
                trail.append(parent)
                stack.append((parent, iter(parents[parent])))
    return any_ring


def _short(ring: list[str]) -> list[str]:
    return ring if len(ring) <= 8 else [*ring[:5], "…", *ring[-2:]]


def _elements(site: Site, report: Report) -> None:
    curves = {curve.id: curve for curve in site.curve}
    for row, element in enumerate(site.element):
        names = ("rating_w", "rating_va", "rating_a")
        given = [name for name in names if getattr(element, name) is not None]
        if len(given) != 1:
            at = ("element", row, given[1]) if given else ("element", row, "rating_w")
            found = " and ".join(given) if given else "no rating"
            report.add(at, found, "exactly one of rating_w, rating_va, rating_a")
        if len(set(element.parents)) != len(element.parents):
            report.add(("element", row, "parents"), "a parent twice", "each parent once")
        modes: dict[str, str] = {}
        for curve_id in element.curve:
            path = ("element", row, "curve")
            if not _known(path, curve_id, "a [[curve]]", curves, report):
                continue
            mode = curves[curve_id].mode
            if mode in modes:
                found = f'two curves for mode "{mode}": "{modes[mode]}" and "{curve_id}"'
                report.add(path, found, "at most one curve for each mode")
            modes.setdefault(mode, curve_id)


def _racks(site: Site, report: Report) -> None:
    ids = {element.id for element in site.element}
    for row, rack in enumerate(site.rack):
        for index, cord in enumerate(rack.cords):
            path = ("rack", row, "cords", index, "element")
            _known(path, cord.element, "an [[element]]", ids, report)
        total = math.fsum(cord.share for cord in rack.cords)
        if abs(total - 1.0) > SHARES_TOLERANCE:
            found = f"shares that sum to {total:.9g}"
            report.add(("rack", row, "cords"), found, "shares that sum to 1")
        plugged = [cord.element for cord in rack.cords]
        twice = next((e for e in plugged if plugged.count(e) > 1), None)
        if twice is not None:
            report.add(
                ("rack", row, "cords"), f'two cords on "{twice}"', "one cord for each element"
            )


def _devices(site: Site, report: Report) -> None:
    racks = {rack.id for rack in site.rack}
    controllable = 0
    for row, device in enumerate(site.device):
        _known(("device", row, "rack"), device.rack, "a [[rack]]", racks, report)
        low, high = device.cap_min_w, device.cap_max_w
        if (low is None) != (high is None):
            absent, there = (
                ("cap_max_w", "cap_min_w") if high is None else ("cap_min_w", "cap_max_w")
            )
            report.add(("device", row, there), f"{there} without {absent}", "both, or neither")
        elif low is not None and high is not None and low > high:
            found = f"{low:.15g}, above cap_max_w = {high:.15g}"
            report.add(("device", row, "cap_min_w"), found, f"at most {high:.15g} watts")
        elif high is None and device.fixed_w == 0.0:
            wanted = "cap_min_w and cap_max_w, or fixed_w above 0"
            report.add(("device", row), "a device neither controllable nor fixed", wanted)
        controllable += device.count if high is not None else 0
    if controllable > DEVICES_MAX:
        found = f"{controllable} controllable devices"
        report.add(("device",), found, f"at most {DEVICES_MAX}")


def _numbered(site: Site, report: Report) -> None:
    """`id-0…` of a counted row must not be another row's id, nor grow too long."""
    count_of = {device.id: device.count for device in site.device}
    for row, device in enumerate(site.device):
        stem, _, tail = device.id.rpartition("-")
        count = count_of.get(stem, 1)
        if count > 1 and tail.isdecimal() and str(int(tail)) == tail and int(tail) < count:
            found = f'"{device.id}", which is also one of the {count} devices of "{stem}"'
            report.add(("device", row, "id"), found, "an id that no other device has")
        if device.count > 1 and len(f"{device.id}-{device.count - 1}") > 63:
            wanted = "an id short enough for id-0…: at most 63 characters with the number"
            report.add(("device", row, "id"), f'"{device.id}"', wanted)


def _meters(site: Site, report: Report) -> None:
    ids = {element.id for element in site.element}
    for row, meter in enumerate(site.meter):
        _known(("meter", row, "element"), meter.element, "an [[element]]", ids, report)
        rate, period = meter.sample_rate_hz, meter.period_s
        if (rate is None) == (period is None):
            found = "neither sample_rate_hz nor period_s" if rate is None else "both"
            path = ("meter", row) if rate is None else ("meter", row, "period_s")
            report.add(path, found, "exactly one of sample_rate_hz and period_s")


def _curves(site: Site, report: Report) -> None:
    for row, curve in enumerate(site.curve):
        pairs = zip(curve.points, curve.points[1:], strict=False)
        for index, (before, after) in enumerate(pairs, start=1):
            path = ("curve", row, "points", index)
            if after[0] <= before[0]:
                found = f"load_ratio {after[0]:.15g} after {before[0]:.15g}"
                report.add(path, found, "load_ratio rising from point to point")
            elif after[1] >= before[1]:
                found = f"tolerated_s {after[1]:.15g} after {before[1]:.15g}"
                report.add(path, found, "tolerated_s falling from point to point")


def _ports(site: Site, report: Report) -> None:
    elements = {element.id for element in site.element}
    devices = {device.id: device for device in site.device}
    for table in PORT_TABLES:
        for row, port in enumerate(getattr(site, table)):
            _own_keys((table, row), port, report)
            for element in port.elements:
                _known((table, row, "elements"), element, "an [[element]]", elements, report)
            for device in port.devices:
                _known((table, row, "devices"), device, "a [[device]] row", devices, report)
    for row, policy in enumerate(site.policy):
        _own_keys(("policy", row), policy, report)
    for row, actuator in enumerate(site.actuator):
        _actuated(row, actuator, [d.id for d in site.device if d.is_controllable], report)


def _actuated(row: int, actuator: Actuator, controllable: list[str], report: Report) -> None:
    named = "devices" in actuator.model_fields_set
    path = ("actuator", row, "devices") if named else ("actuator", row)
    wanted = "at least one [[device]] with cap_min_w and cap_max_w"
    if named and not actuator.devices:
        report.add(path, "an actuator without devices", "ids, or no such key for all devices")
    elif not controllable:
        report.add(path, "an actuator without devices: no device of the site takes caps", wanted)
    elif actuator.devices and not set(actuator.devices) & set(controllable):
        report.add(path, "an actuator without devices: none of those named takes caps", wanted)


def _own_keys(path: tuple[str, int], row: Port | Policy, report: Report) -> None:
    """Keys of an adapter's own are free, but for near spellings of ours and numbers like NaN."""
    known = keys_of(type(row))
    for key, value in (row.model_extra or {}).items():
        meant = suggest_key(key, known)
        if meant is not None and _is_slip(key, meant):
            wanted = f"a known key or one of the adapter's own; did you mean {meant}?"
            report.add((*path, key), f'unknown key "{printable(key)}"', wanted)
        elif key == "write":
            report.add((*path, key), "write", "this key in an [[actuator]] only")
        if not _finite(value):
            report.add((*path, key), "nan or inf", "finite numbers")


def _is_slip(key: str, meant: str) -> bool:
    """One letter more, less, other or swapped."""
    if sorted(key) == sorted(meant):
        return True
    short, long = sorted((key, meant), key=len)
    if len(long) - len(short) == 1:
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    return len(long) == len(short) and sum(a != b for a, b in zip(key, meant, strict=True)) == 1


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_finite(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_finite(inner) for inner in value)
    return not isinstance(value, float) or math.isfinite(value)
