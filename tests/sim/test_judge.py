"""Traces: judged without the twin they give the run's verdict; edited, each lie is found out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.command import assert_refused, karman
from tests.sim.halls import run, scenario, site

Record = dict[str, Any]
MS = 1_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The trace of a lost feed in a small hall, and the run's document."""
    folder = tmp_path_factory.mktemp("trace")
    hall = site(folder / "hall.toml", racks=12)
    trace = folder / "run.jsonl"
    short = scenario(folder / "short.toml")
    return trace, run(short, "--duration", "3", "--site", hall, "--trace", trace)


@pytest.fixture(scope="module")
def records(made: tuple[Path, dict[str, Any]]) -> list[Record]:
    return [json.loads(line) for line in made[0].read_text().splitlines()]


def judge(*traces: Path, code: int) -> dict[str, Any]:
    ended = karman("twin", "judge", *traces, "--json", "-")
    assert ended.stderr == ""
    assert ended.returncode == code, ended.stdout[:3000]
    verdict: dict[str, Any] = json.loads(ended.stdout)
    assert verdict["unsafe"] == len(verdict["violations"])
    return verdict


def write(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_the_judge_agrees_with_the_run(made: tuple[Path, dict[str, Any]]) -> None:
    trace, document = made
    verdict = judge(trace, code=0)
    assert verdict["violations"] == document["violations"] == []
    assert verdict["trips"] == document["trips"] == 0
    assert 0 < document["accumulator_max_ratio"] <= verdict["accumulator_max_ratio"] <= 0.5
    # Nothing that is judged may be missing.
    counts = verdict["records_by_type"]
    for kind in ("flow", "cap", "lease", "renew", "raise", "books", "event"):
        assert counts[kind] > 0, kind
    assert counts["header"] == 1
    assert sum(counts.values()) == verdict["records"]
    assert verdict["truncated_lines"] == 0
    assert verdict["raises_unrecorded"] == 0
    assert verdict["flow_gap_max_ms"] <= 100


def test_an_uncontrolled_run_is_judged_unsafe_alike(tmp_path: Path) -> None:
    hall, trace = site(tmp_path / "hall.toml", racks=12), tmp_path / "off.jsonl"
    short = scenario(tmp_path / "short.toml")
    args = ("--duration", "18", "--site", hall, "--trace", trace, "--control", "off")
    document = run(short, *args, code=1)
    assert document["trips"] > 0
    verdict = judge(trace, code=1)
    assert verdict["violations"] == document["violations"]
    assert {violation["kind"] for violation in verdict["violations"]} >= {"beyond_curve"}
    assert verdict["trips"] == document["trips"]


def raise_above_lease(records: list[Record]) -> None:
    last_ns = records[-1]["mono_ns"]
    device = records[0]["devices"][-1]
    leased_w = [r["cap_w"] for r in records if r["type"] == "lease" and r["device"] == device["id"]]
    lie = max([device["fallback_w"], *leased_w]) + 5
    records.append({"type": "cap", "mono_ns": last_ns, "device": device["id"], "cap_w": lie})
    flow = next(r for r in reversed(records) if r["type"] == "flow")
    records.append({**flow, "mono_ns": last_ns + 300 * MS})


def multiply_flows(records: list[Record]) -> None:
    start_ns = records[0]["start_mono_ns"]
    for record in records:
        if record["type"] == "flow" and record["mono_ns"] > start_ns:
            record["power_w"] = [1.6 * power_w for power_w in record["power_w"]]


def leak(records: list[Record]) -> None:
    at = [element["id"] for element in records[0]["elements"]].index("feed-a")
    for record in records:
        if record["type"] == "flow":
            record["power_w"][at] *= 0.8


def stale_raise(records: list[Record]) -> None:
    raised = [record for record in records if record["type"] == "raise"]
    raised[len(raised) // 2]["data_age_ns"] = 300 * MS + 1


def shrink_books(records: list[Record]) -> None:
    [record for record in records if record["type"] == "books"][-1]["devices_accounted_w"] *= 0.9


def go_back(records: list[Record]) -> None:
    leases = [record for record in records if record["type"] == "lease"]
    leases[-1]["epoch"] -= 1


LIES: dict[str, tuple[Callable[[list[Record]], None], str]] = {
    "a cap above its lease": (raise_above_lease, "cap_above_lease"),
    "flows beyond the curves": (multiply_flows, "beyond_curve"),
    "watts that vanish": (leak, "books_do_not_balance"),
    "a raise on stale data": (stale_raise, "raise_on_stale_data"),
    "books below the caps": (shrink_books, "books_do_not_balance"),
    "an older epoch": (go_back, "epoch_went_back"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_edited_trace_is_found_out(lie: str, records: list[Record], tmp_path: Path) -> None:
    edited: list[Record] = json.loads(json.dumps(records))
    edit, kind = LIES[lie]
    edit(edited)
    verdict = judge(write(tmp_path / "edited.jsonl", edited), code=1)
    kinds = {violation["kind"] for violation in verdict["violations"]}
    assert kinds == {kind}
    for violation in verdict["violations"]:
        assert set(violation) == {"at_ms", "kind", "element", "value", "limit"}


def test_people_read_the_verdict_too(records: list[Record], tmp_path: Path) -> None:
    edited: list[Record] = json.loads(json.dumps(records))
    stale_raise(edited)
    ended = karman("twin", "judge", write(tmp_path / "edited.jsonl", edited))
    assert ended.returncode == 1
    assert ended.stdout.startswith("UNSAFE: 1 violations")
    assert "raise_on_stale_data" in ended.stdout


def split(records: list[Record], folder: Path) -> dict[str, Path]:
    """One trace each from plant, agent and controller, as on a wall clock."""
    origin = {"lease": "agent", "renew": "agent", "raise": "controller", "books": "controller"}
    parts: dict[str, list[Record]] = {"plant": [], "agent": [], "controller": []}
    for record in records:
        parts[origin.get(record["type"], "plant")].append(record)
    bare = {k: v for k, v in records[0].items() if k not in {"elements", "devices"}}
    for name in ("agent", "controller"):
        parts[name].insert(0, {**bare, "origin": name})
    return {name: write(folder / f"{name}.jsonl", part) for name, part in parts.items()}


def test_split_traces_are_merged(records: list[Record], tmp_path: Path) -> None:
    parts = split(records, tmp_path)
    verdicts = [
        judge(*(parts[name] for name in order), code=0)
        for order in (("plant", "agent", "controller"), ("controller", "plant", "agent"))
    ]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0]["records"] == len(records) + 2
    assert verdicts[0]["accumulator_max_ratio"] > 0


def test_without_the_agents_trace_every_raised_cap_is_unleased(
    records: list[Record], tmp_path: Path
) -> None:
    parts = split(records, tmp_path)
    verdict = judge(parts["plant"], parts["controller"], code=1)
    assert {violation["kind"] for violation in verdict["violations"]} == {"cap_above_lease"}


def test_the_plants_trace_must_be_there(records: list[Record], tmp_path: Path) -> None:
    parts = split(records, tmp_path)
    assert_refused(karman("twin", "judge", parts["agent"], parts["controller"]), "plant")
    assert_refused(karman("twin", "judge", parts["plant"], parts["plant"]), "plant")


def test_a_last_line_cut_short_is_counted(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(made[0].read_bytes()[:-20])
    verdict = judge(cut, code=0)
    assert verdict["truncated_lines"] == 1


@pytest.mark.parametrize(
    "damage", ["{", "rubbish", '{"type":"flow"}', '{"type":"flow","mono_ns":-1}', "[]", "\0\0"]
)
def test_a_damaged_line_is_named(
    damage: str, made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    lines = made[0].read_text().splitlines(keepends=True)
    lines[499] = damage + "\n"
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("".join(lines))
    assert_refused(karman("twin", "judge", damaged), f"{damaged}:500: ")


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    empty, binary, pipe = tmp_path / "empty", tmp_path / "binary", tmp_path / "pipe"
    empty.touch()
    binary.write_bytes(bytes(range(256)) * 4096)
    os.mkfifo(pipe)
    for path in (empty, binary, pipe, tmp_path, tmp_path / "absent", Path("/dev/null")):
        assert_refused(karman("twin", "judge", path, timeout=10), str(path))
