"""The JSON Schemas, the unit suffixes, and that the reference pages name every key."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from karman_grid import units
from karman_grid.config import EVENT_KINDS, ConfigError, json_schema, render_template
from karman_grid.config.scenario import Event

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def keys_of(schema: dict[str, Any]) -> set[str]:
    """Every key that a schema knows, of all its tables."""
    tables = [schema, *schema["$defs"].values()]
    return {key for table in tables for key in table.get("properties", {})}


@pytest.mark.parametrize("kind", ["site", "scenario"])
def test_schema_is_closed_and_describes_every_key(kind: str) -> None:
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    open_tables = {name for name, t in schema["$defs"].items() if t.get("additionalProperties")}
    assert open_tables == ({"Port", "Actuator", "Policy"} if kind == "site" else set())
    assert schema["additionalProperties"] is False
    for name, table in schema["$defs"].items():
        for key, field in table.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key} says nothing"


def test_schema_shows_both_forms_of_a_parameter() -> None:
    forms = json_schema("scenario")["$defs"]["Timing"]["properties"]["decide_ms"]["anyOf"]
    assert {"type": "number", "minimum": 0, "maximum": 600_000} in forms
    assert any("$ref" in form for form in forms)


def test_schema_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match='found "profile", expected site or scenario'):
        json_schema("profile")


@pytest.mark.parametrize("kind", ["site", "scenario"])
def test_the_reference_page_names_every_key(kind: str) -> None:
    page = (REFERENCE / f"{kind}-file.md").read_text(encoding="utf-8")
    assert [key for key in sorted(keys_of(json_schema(kind))) if f"`{key}`" not in page] == []


def test_the_reference_page_names_every_event_kind() -> None:
    page = (REFERENCE / "scenario-file.md").read_text(encoding="utf-8")
    assert [kind for kind in EVENT_KINDS if f"`{kind}`" not in page] == []
    assert get_args(Event.model_fields["kind"].annotation) == tuple(EVENT_KINDS)


def test_every_unit_in_a_template_is_known() -> None:
    raw = tomllib.loads(render_template("4n3", racks=6))
    rows = [raw["site"], *raw["element"], *raw["device"], *raw["meter"]]
    numbers = {key for row in rows for key, value in row.items() if isinstance(value, float | int)}
    bare = {"count", "tier", "jobs_wait_for_lease", "psu_sharing_error"}
    assert {key for key in numbers if units.unit_of(key) is None} == bare


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("6 MW", "rating_w", 6e6),
        ("6MW", "rating_w", 6e6),
        ("1_500 kVA", "rating_va", 1.5e6),
        ("400 A", "rating_a", 400.0),
        ("2 min", "period_s", 120.0),
        ("250 ms", "period_s", 0.25),
        ("1.5 s", "decide_ms", 1500.0),
        ("30 %", "value_ratio", 0.3),
        ("5 kW/s", "ramp_up_w_per_s", 5000.0),
        ("32 kHz", "sample_rate_hz", 32_000.0),
        ("12", "rating_w", 12.0),
        ("6 Hz", "rating_w", None),
        ("many", "rating_w", None),
        ("6 MW", "count", None),
    ],
)
def test_quantities_in_words(text: str, key: str, value: float | None) -> None:
    assert units.parse_quantity(text, key) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("key", "based"),
    [
        ("rating_kw", "rating_w"),
        ("ramp_up_kw_per_s", "ramp_up_w_per_s"),
        ("duration_min", "duration_s"),
        ("rating_w", None),
        ("tier", None),
    ],
)
def test_keys_in_other_units(key: str, based: str | None) -> None:
    assert units.base_key(key) == based


@pytest.mark.parametrize(
    ("power_w", "text"),
    [(0.0, "0 W"), (999.0, "999 W"), (16_800.0, "16.8 kW"), (-1_075_200.0, "-1.075 MW")],
)
def test_watts_for_a_person(power_w: float, text: str) -> None:
    assert units.format_w(power_w) == text
