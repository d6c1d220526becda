"""Each wrong site file is told with its line, what was found and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from karman_grid.config import ConfigError, load_site

from tests.unit.test_config_site import edited

ID = "an id: lower-case letters, digits, '.' and '-', at most 63 of them"

# Text to replace, its replacement, line of the problem, and the whole message after FILE:LINE.
BAD: dict[str, tuple[str, str, int, str]] = {
    "unknown key, near": (
        "rating_w = 10000\ncurve",
        "ratng_w = 10000\ncurve",
        14,
        'element.ups-a.ratng_w: found unknown key "ratng_w", expected a known key; '
        "did you mean rating_w (watts)?",
    ),
    "unknown key, other unit": (
        "rating_w = 10000\ncurve",
        "rating_kw = 10\ncurve",
        14,
        'element.ups-a.rating_kw: found unknown key "rating_kw", expected a known key; '
        "did you mean rating_w (watts)?",
    ),
    "unknown key, far": (
        'id = "r01"',
        'id = "r01"\ncolour = "red"',
        28,
        'rack.r01.colour: found unknown key "colour", expected one of id, cords, on_loss, phases',
    ),
    "unknown table": (
        "[[rack]]",
        "[[racks]]",
        26,
        'racks: found unknown key "racks", expected a known key; did you mean rack?',
    ),
    "number in a text": (
        "rating_w = 20000",
        'rating_w = "6 MW"',
        9,
        'element.utility.rating_w: found "6 MW", expected a number of watts without quotes: '
        "rating_w = 6000000",
    ),
    "number in a text, other quantity": (
        "rating_w = 20000",
        'rating_w = "6 Hz"',
        9,
        'element.utility.rating_w: found "6 Hz", expected a number of watts without quotes',
    ),
    "boolean for a number": (
        "nominal_v = 277",
        "nominal_v = true",
        4,
        "site.nominal_v: found true, expected a number of volts",
    ),
    "float for a whole number": (
        "count = 8",
        "count = 8.0",
        35,
        "device.r01-gpu.count: found 8.0, expected a whole number",
    ),
    "text for a boolean": (
        "write = true",
        'write = "yes"',
        56,
        'actuator.gpus.write: found "yes", expected true or false without quotes',
    ),
    "negative": (
        "rating_w = 20000",
        "rating_w = -5",
        9,
        "element.utility.rating_w: found -5, expected a number of watts above 0",
    ),
    "nan": (
        "cap_max_w = 700",
        "cap_max_w = nan",
        38,
        "device.r01-gpu.cap_max_w: found nan (no finite number), expected a finite number of watts",
    ),
    "infinite": (
        "rating_w = 20000",
        "rating_w = inf",
        9,
        "element.utility.rating_w: found inf (no finite number), expected a finite number of watts",
    ),
    "a number beyond all": (
        "rating_w = 20000",
        "rating_w = 1" + "0" * 400,
        9,
        "element.utility.rating_w: found a number of more than 18 digits, "
        "expected a number of watts",
    ),
    "wrong kind": (
        'kind = "ups"',
        'kind = "upss"',
        12,
        'element.ups-a.kind: found "upss", expected one of "utility", "transformer", '
        '"generator", "ups", "feed", "switchboard", "pdu", "busway", "branch" or "cooling"; '
        'did you mean "ups"?',
    ),
    "missing key": (
        'rack = "r01"\n',
        "",
        32,
        "device.r01-gpu.rack: found nothing, expected id of the rack that holds it",
    ),
    "missing table": (
        '[site]\nname = "small"\nnominal_v = 277\nnominal_hz = 60\n',
        "",
        0,
        "site: found nothing, expected the table [site]",
    ),
    "other schema": (
        "schema = 1",
        "schema = 2",
        1,
        "schema: found 2, expected 1, the file layout that this version reads",
    ),
    "schema as a text": (
        "schema = 1",
        'schema = "1"',
        1,
        'schema: found "1", expected a whole number without quotes',
    ),
    "table for an array of tables": (
        "[[source]]",
        "[source]",
        50,
        "source: found a table, expected tables headed [[source]]",
    ),
    "duplicate id": (
        'id = "feed-b"',
        'id = "feed-a"',
        22,
        'element.feed-a.id: found "feed-a" again, already the id of the element on line 17, '
        "expected an id that no other element has",
    ),
    "id pattern": (
        'id = "r01"',
        'id = "R 01"',
        27,
        f'rack.R 01.id: found "R 01", expected {ID}',
    ),
    "unknown parent": (
        'parents = ["ups-a"]',
        'parents = ["ups-aa"]',
        19,
        'element.feed-a.parents: found "ups-aa", expected the id of an [[element]]; '
        'did you mean "ups-a"?',
    ),
    "unknown curve": (
        'curve = "ups-line"',
        'curve = "ups-lines"',
        15,
        'element.ups-a.curve: found "ups-lines", expected the id of a [[curve]]; '
        'did you mean "ups-line"?',
    ),
    "cycle": (
        'parents = ["utility"]\nrating_w',
        'parents = ["feed-a"]\nrating_w',
        19,
        "element.feed-a.parents: found a cycle: ups-a → feed-a → ups-a, "
        "expected parents that lead to a utility or a generator",
    ),
    "own parent": (
        'parents = ["ups-a"]',
        'parents = ["feed-a"]',
        19,
        "element.feed-a.parents: found a cycle: feed-a → feed-a, "
        "expected parents that lead to a utility or a generator",
    ),
    "orphan": (
        'parents = ["ups-a"]\n',
        "",
        16,
        "element.feed-a.parents: found no parents: an orphan that no utility or generator "
        "reaches, expected the ids of what feeds it",
    ),
    "no rating": (
        "rating_w = 20000\n",
        "",
        6,
        "element.utility.rating_w: found no rating, "
        "expected exactly one of rating_w, rating_va, rating_a",
    ),
    "two ratings": (
        "rating_w = 20000",
        "rating_w = 20000\nrating_va = 21000",
        10,
        "element.utility.rating_va: found rating_w and rating_va, "
        "expected exactly one of rating_w, rating_va, rating_a",
    ),
    "rack on no feed": (
        'element = "feed-b", share',
        'element = "feed-x", share',
        30,
        'rack.r01.cords[1].element: found "feed-x", expected the id of an [[element]]; '
        'did you mean "feed-b"?',
    ),
    "shares": (
        'feed-b", share = 0.5',
        'feed-b", share = 0.4',
        28,
        "rack.r01.cords: found shares that sum to 0.9, expected shares that sum to 1",
    ),
    "share above 1": (
        'feed-b", share = 0.5',
        'feed-b", share = 1.5',
        30,
        "rack.r01.cords[1].share: found 1.5, expected a number at most 1",
    ),
    "no cords": (
        'cords = [\n  { element = "feed-a", share = 0.5 },\n'
        '  { element = "feed-b", share = 0.5 },\n]',
        "cords = []",
        28,
        "rack.r01.cords: found an empty list, expected at least 1 entries",
    ),
    "one element twice": (
        'element = "feed-b", share',
        'element = "feed-a", share',
        28,
        'rack.r01.cords: found two cords on "feed-a", expected one cord for each element',
    ),
    "unknown rack": (
        'rack = "r01"',
        'rack = "r10"',
        34,
        'device.r01-gpu.rack: found "r10", expected the id of a [[rack]]; did you mean "r01"?',
    ),
    "floor above limit of a device": (
        "cap_min_w = 200",
        "cap_min_w = 800",
        37,
        "device.r01-gpu.cap_min_w: found 800, above cap_max_w = 700, expected at most 700 watts",
    ),
    "one cap only": (
        "cap_max_w = 700\n",
        "",
        37,
        "device.r01-gpu.cap_min_w: found cap_min_w without cap_max_w, expected both, or neither",
    ),
    "neither controllable nor fixed": (
        "cap_min_w = 200\ncap_max_w = 700\n",
        'tenant = "x"\n',
        32,
        "device.r01-gpu: found a device neither controllable nor fixed, "
        "expected cap_min_w and cap_max_w, or fixed_w above 0",
    ),
    "floor above limit of an element": (
        "cap_min_w = 200",
        "cap_min_w = 200\nfixed_w = 2400",
        14,
        "element.ups-a.rating_w: found a limit of 10 kW under a floor of 10.4 kW, "
        "expected a limit above the sum of fixed_w and cap_min_w that it carries",
    ),
    "numbered id taken": (
        "[[meter]]",
        '[[device]]\nid = "r01-gpu-7"\nrack = "r01"\nkind = "server"\nfixed_w = 1\n[[meter]]',
        40,
        'device.r01-gpu-7.id: found "r01-gpu-7", which is also one of the 8 devices of '
        '"r01-gpu", expected an id that no other device has',
    ),
    "meter without a rate": (
        "sample_rate_hz = 32000\n",
        "",
        39,
        "meter.m-a: found neither sample_rate_hz nor period_s, "
        "expected exactly one of sample_rate_hz and period_s",
    ),
    "meter on nothing": (
        'element = "feed-a"\nposition',
        'element = "fed-a"\nposition',
        41,
        'meter.m-a.element: found "fed-a", expected the id of an [[element]]; '
        'did you mean "feed-a"?',
    ),
    "points: load not rising": (
        "[1.10, 60]",
        "[1.05, 60]",
        47,
        "curve.ups-line.points[1]: found load_ratio 1.05 after 1.05, "
        "expected load_ratio rising from point to point",
    ),
    "points: time not falling": (
        "[1.10, 60]",
        "[1.10, 4000]",
        47,
        "curve.ups-line.points[1]: found tolerated_s 4000 after 3600, "
        "expected tolerated_s falling from point to point",
    ),
    "points: three numbers": (
        "[1.10, 60]",
        "[1.10, 60, 1]",
        47,
        "curve.ups-line.points[1]: found a list of 3, expected at most 2 entries",
    ),
    "points: one number": (
        "[1.10, 60]",
        "[1.10]",
        47,
        "curve.ups-line.points[1][1]: found nothing, expected one more number",
    ),
    "two curves of one mode": (
        'curve = "ups-line"\n[[element]]',
        'curve = ["ups-line", "ups-too"]\n[[curve]]\nid = "ups-too"\nquantity = "power"\n'
        'points = [[1.1, 9], [1.2, 8]]\nsource = "test"\nverified = false\n[[element]]',
        15,
        'element.ups-a.curve: found two curves for mode "line": "ups-line" and "ups-too", '
        "expected at most one curve for each mode",
    ),
    "actuator with an empty list": (
        "write = true",
        "write = true\ndevices = []",
        57,
        "actuator.gpus.devices: found an actuator without devices, "
        "expected ids, or no such key for all devices",
    ),
    "actuator of what takes no caps": (
        "cap_min_w = 200\ncap_max_w = 700",
        "fixed_w = 500\ntier = 1",
        53,
        "actuator.gpus: found an actuator without devices: no device of the site takes caps, "
        "expected at least one [[device]] with cap_min_w and cap_max_w",
    ),
    "actuator of unknown devices": (
        "write = true",
        'write = true\ndevices = ["r01-gpus", "r01-gpu"]',
        57,
        'actuator.gpus.devices: found "r01-gpus", expected the id of a [[device]] row; '
        'did you mean "r01-gpu"?',
    ),
    "own key that is a slip": (
        "write = true",
        "write = true\ndevice = 3",
        57,
        'actuator.gpus.device: found unknown key "device", expected a known key or one of the '
        "adapter's own; did you mean devices?",
    ),
    "own key that is no number": (
        "write = true",
        "write = true\nlevels = [1.0, nan]",
        57,
        "actuator.gpus.levels: found nan or inf, expected finite numbers",
    ),
    "write where nothing writes": (
        'adapter = "twin"\n[[actuator]]',
        'adapter = "twin"\nwrite = true\n[[actuator]]',
        53,
        "source.meters.write: found write, expected this key in an [[actuator]] only",
    ),
    "sharing error": (
        "nominal_hz = 60",
        "nominal_hz = 60\npsu_sharing_error = 0.5",
        6,
        "site.psu_sharing_error: found 0.5, expected a number below 0.5",
    ),
    "mode": (
        "nominal_hz = 60",
        'nominal_hz = 60\nmode = "live"',
        6,
        'site.mode: found "live", expected one of "shadow" or "active"; did you mean "active"?',
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_site_file_names_line_found_and_expected(case: str, tmp_path: Path) -> None:
    old, new, line, message = BAD[case]
    path = tmp_path / "site.toml"
    path.write_text(edited(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    where = f"{path}:{line}" if line else str(path)
    assert f"{where}: {message}" in str(caught.value).split("\n")
    assert caught.value.exit_code == 2
