"""The site file: what a right one means, and how the problems of a wrong one share a screen."""

from __future__ import annotations

import datetime
import json

import pytest
from karman_grid.config import ConfigError, parse_site, resolve_site

GOOD = """\
schema = 1
[site]
name = "small"
nominal_v = 277
nominal_hz = 60
[[element]]
id = "utility"
kind = "utility"
rating_w = 20000
[[element]]
id = "ups-a"
kind = "ups"
parents = ["utility"]
rating_w = 10000
curve = "ups-line"
[[element]]
id = "feed-a"
kind = "feed"
parents = ["ups-a"]
rating_w = 10000
[[element]]
id = "feed-b"
kind = "feed"
parents = ["utility"]
rating_a = 40
[[rack]]
id = "r01"
cords = [
  { element = "feed-a", share = 0.5 },
  { element = "feed-b", share = 0.5 },
]
[[device]]
id = "r01-gpu"
rack = "r01"
count = 8
kind = "gpu"
cap_min_w = 200
cap_max_w = 700
[[meter]]
id = "m-a"
element = "feed-a"
position = "ups_output"
sample_rate_hz = 32000
[[curve]]
id = "ups-line"
quantity = "power"
points = [[1.05, 3600], [1.10, 60], [1.5, 1.5]]
source = "test"
verified = false
[[source]]
id = "meters"
adapter = "twin"
[[actuator]]
id = "gpus"
adapter = "twin"
write = true
"""


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times in the good file"
    return GOOD.replace(old, new)


def test_the_good_file_is_good() -> None:
    site = parse_site(GOOD)
    assert site.element[1].curve == ("ups-line",)
    assert site.feed_rating_w == pytest.approx(10_000 + 0.9 * 3 * 277 * 40 * 0.95 * 0.8)


def test_all_problems_are_told_at_once_in_file_order() -> None:
    text = GOOD.replace('id = "feed-b"', 'id = "feed-a"').replace("[1.10, 60]", "[1.00, 60]")
    with pytest.raises(ConfigError) as caught:
        parse_site(text, "s.toml")
    lines = [int(line.split(":")[1]) for line in str(caught.value).split("\n")]
    assert lines == sorted(lines)
    assert {22, 30, 47} <= set(lines)


def test_many_problems_fit_one_screen() -> None:
    rows = "".join(f'[[rack]]\nid = "x{i}"\ncords = 3\n' for i in range(600))
    with pytest.raises(ConfigError) as caught:
        parse_site(GOOD + rows, "s.toml")
    lines = str(caught.value).split("\n")
    assert len(lines) == 21
    assert lines[-1] == "s.toml: and 580 more"
    assert len(caught.value.problems) == 500
    assert all(len(line) <= 240 for line in lines)


@pytest.mark.parametrize(
    ("edit", "mode"),
    [
        (("write = true", "write = true"), "active"),
        (('adapter = "twin"\nwrite = true', 'adapter = "nvml"\nwrite = true'), "shadow"),
        (('[[actuator]]\nid = "gpus"\nadapter = "twin"\nwrite = true\n', ""), "shadow"),
        (("nominal_hz = 60", 'nominal_hz = 60\nmode = "shadow"'), "shadow"),
        (
            (
                "write = true",
                'write = true\n[[actuator]]\nid = "pdu"\nadapter = "modbus"',
            ),
            "shadow",
        ),
    ],
)
def test_mode_is_shadow_unless_every_actuator_is_the_twins(
    edit: tuple[str, str], mode: str
) -> None:
    assert resolve_site(parse_site(edited(*edit)))["site"]["mode"] == mode


def test_explicit_active_holds_for_real_equipment() -> None:
    text = GOOD.replace('adapter = "twin"', 'adapter = "nvml"')
    text = text.replace("nominal_hz = 60", 'nominal_hz = 60\nmode = "active"')
    assert parse_site(text).mode == "active"


def test_resolved_form_holds_every_default_and_no_null() -> None:
    text = (
        GOOD + 'since = 2026-01-02\nport = 502\n[[policy]]\nid = "p"\npolicy = "q"\npriority = 1\n'
    )
    resolved = resolve_site(parse_site(text))
    assert set(resolved) == {
        "schema", "site", "element", "rack", "device", "meter", "curve", "source", "actuator",
    }  # fmt: skip
    assert resolved["site"] == {
        "name": "small",
        "nominal_v": 277.0,
        "nominal_hz": 60.0,
        "restore_hold_s": 10.0,
        "mode": "active",
        "jobs_wait_for_lease": False,
        "psu_sharing_error": 0.02,
        "flap_max": 3,
        "lease_ttl_max_s": 1.0,
        "write_bound_ms": 50.0,
        "settle_bound_ms": 1000.0,
        "cap_excess_ratio": 0.1,
        "cap_excess_ms": 50.0,
        "bare_hosts": 1,
    }
    assert resolved["element"][1]["curve"] == ["ups-line"]
    assert [row["credible"] for row in resolved["element"]] == [False, True, True, True]
    assert resolved["rack"][0]["on_loss"] == "rescale"
    actuator = resolved["actuator"][0]
    assert actuator["since"] == datetime.date(2026, 1, 2).isoformat()
    assert actuator == {
        "id": "gpus", "adapter": "twin", "elements": [], "devices": [], "write": True,
        "since": "2026-01-02", "port": 502,
    }  # fmt: skip
    assert resolved["source"][0]["write"] is False
    assert "null" not in json.dumps(resolved, allow_nan=False)


def test_a_site_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_site(GOOD).site.flap_max = 0
