"""The result document of a run: keys, what may be null, pooled runs, and its digest."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.service.command import karman
from tests.sim.halls import change, run, scenario, site

KEYS = {
    *("scenario", "seed", "runs", "duration_s", "version", "config_hash", "unsafe", "trips"),
    *("violations", "latency_ms", "survivor_peak_ratio", "over_limit_ms"),
    *("accumulator_max_ratio", "time_to_limit_ms", "critical_shed_w", "energy_kwh"),
    *("work_lost_ratio", "served_of_optimum_ratio", "escalations", "utilisation_before_ratio"),
    *("grant_ratio", "needless_cut_wh", "load_change_ratio", "commands_expected", "pcc_step_w"),
    *("digest", "mode"),
}
MAY_BE_NULL = {
    *("survivor_peak_ratio", "time_to_limit_ms", "utilisation_before_ratio"),
    *("load_change_ratio", "served_of_optimum_ratio", "grant_ratio"),
}
LATENCIES = {"detect", "decide", "deliver", "settle", "react", "react_event", "react_all"}
PER_SEED = {
    *("seed", "unsafe", "trips", "react_max_ms", "time_to_limit_ms", "survivor_peak_ratio"),
    "digest",
}
SEEDS = (3, 4, 5)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loss after one second."""
    return scenario(tmp_path_factory.mktemp("short") / "short.toml")


@pytest.fixture(scope="module")
def singles(short: Path) -> list[dict[str, Any]]:
    return [run(short, "--duration", "4.5", "--seed", str(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def pooled(short: Path) -> dict[str, Any]:
    return run(short, "--duration", "4.5", "--seed", "3", "--runs", "3")


def check_shape(document: dict[str, Any]) -> None:
    assert set(document) >= KEYS
    nulls = {key for key, value in document.items() if value is None}
    assert nulls <= MAY_BE_NULL
    assert set(document["latency_ms"]) == LATENCIES
    for quantiles in document["latency_ms"].values():
        assert set(quantiles) == {"p50", "p99", "p999", "max", "count"}
        values = [quantiles[key] for key in ("p50", "p99", "p999", "max")]
        if quantiles["count"] == 0:
            assert values == [None] * 4
        else:
            assert values == sorted(values)
            assert values[0] > 0
    assert document["unsafe"] == len(document["violations"])
    for violation in document["violations"]:
        assert set(violation) == {"at_ms", "kind", "element", "value", "limit"}
    assert re.fullmatch(r"[0-9a-f]{64}", document["config_hash"])
    assert re.fullmatch(r"[0-9a-f]{64}", document["digest"])
    for key in ("seed", "runs", "unsafe", "trips", "escalations", "commands_expected"):
        assert type(document[key]) is int, key


def test_a_run_with_a_loss(singles: list[dict[str, Any]]) -> None:
    for seed, document in zip(SEEDS, singles, strict=True):
        check_shape(document)
        assert (document["scenario"], document["seed"], document["runs"]) == ("short", seed, 1)
        assert document["duration_s"] == 4.5
        assert (document["unsafe"], document["trips"]) == (0, 0)
        assert all(document[key] is not None for key in MAY_BE_NULL)
        latency = document["latency_ms"]
        assert latency["react"]["count"] == document["commands_expected"] > 0
        assert latency["detect"]["count"] == latency["decide"]["count"] == 1
        assert latency["react_event"]["count"] == 1
        # A reaction holds its parts, and no single command can beat them.
        assert latency["react"]["max"] >= latency["detect"]["max"] + latency["decide"]["max"]
        assert latency["decide"]["p50"] == 0.5
        assert "per_seed" not in document


def test_a_run_without_a_loss() -> None:
    document = run("steady", "--duration", "1")
    check_shape(document)
    assert document["commands_expected"] == 0
    assert all(quantiles["count"] == 0 for quantiles in document["latency_ms"].values())
    for key in ("survivor_peak_ratio", "time_to_limit_ms", "served_of_optimum_ratio"):
        assert document[key] is None


def test_runs_are_pooled(singles: list[dict[str, Any]], pooled: dict[str, Any]) -> None:
    check_shape(pooled)
    assert (pooled["seed"], pooled["runs"], pooled["duration_s"]) == (3, 3, 4.5)

    def each(key: str) -> list[Any]:
        return [single[key] for single in singles]

    for key in ("unsafe", "trips", "escalations", "commands_expected"):
        assert pooled[key] == sum(each(key)), key
    for key in ("energy_kwh", "needless_cut_wh"):
        assert pooled[key] == pytest.approx(sum(each(key))), key
    for key in (
        *("over_limit_ms", "accumulator_max_ratio", "time_to_limit_ms", "critical_shed_w"),
        *("work_lost_ratio", "load_change_ratio", "pcc_step_w"),
    ):
        assert pooled[key] == max(each(key)), key
    for key in (
        *("survivor_peak_ratio", "grant_ratio", "utilisation_before_ratio"),
        "served_of_optimum_ratio",
    ):
        assert pooled[key] == min(each(key)), key
    for name in LATENCIES:
        of_each = [single["latency_ms"][name] for single in singles]
        assert pooled["latency_ms"][name]["count"] == sum(q["count"] for q in of_each)
        assert pooled["latency_ms"][name]["max"] == max(q["max"] for q in of_each)
        medians = [q["p50"] for q in of_each]
        assert min(medians) <= pooled["latency_ms"][name]["p50"] <= max(medians)


def test_each_seed_is_told(singles: list[dict[str, Any]], pooled: dict[str, Any]) -> None:
    assert len(pooled["per_seed"]) == 3
    for single, row in zip(singles, pooled["per_seed"], strict=True):
        assert set(row) == PER_SEED
        assert row["react_max_ms"] == single["latency_ms"]["react"]["max"]
        for key in PER_SEED - {"react_max_ms"}:
            assert row[key] == single[key]


def test_the_pool_has_a_digest_of_its_own(
    singles: list[dict[str, Any]], pooled: dict[str, Any], short: Path
) -> None:
    digests = [single["digest"] for single in singles]
    assert len({*digests, pooled["digest"]}) == 4
    one = run(short, "--duration", "4.5", "--seed", "3", "--runs", "1")
    assert one["digest"] == digests[0]
    raw = b"".join(bytes.fromhex(digest) for digest in digests)
    assert pooled["digest"] == hashlib.sha256(raw).hexdigest()


def test_locale_and_time_zone_change_nothing(
    singles: list[dict[str, Any]], short: Path, tmp_path: Path
) -> None:
    env = {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8"}
    copy = tmp_path / "short.toml"
    copy.write_text(short.read_text())
    assert run(copy, "--duration", "4.5", "--seed", "3", env=env) == singles[0]


@pytest.mark.parametrize("what", ["timing", "curve", "label"])
def test_a_changed_default_changes_the_digest(
    what: str, singles: list[dict[str, Any]], short: Path, tmp_path: Path
) -> None:
    plain, other = tmp_path / "short.toml", []
    text = short.read_text()
    if what == "timing":
        text = change(
            text, r"gpu_rise_tau_ms = \{ value = 50\.0,", "gpu_rise_tau_ms = { value = 51.0,"
        )
    elif what == "label":
        text = text.replace("assumed, first order", "measured by nobody")
    else:
        other = [
            "--site",
            str(site(tmp_path / "site.toml", (r"\[1\.50, 1\.5\]\]", "[1.50, 1.4]]"))),
        ]
    plain.write_text(text)
    changed = run(plain, "--duration", "4.5", "--seed", "3", *other)
    assert (changed["digest"] == singles[0]["digest"]) == (what == "label")
    assert (changed["config_hash"] == singles[0]["config_hash"]) == (what == "label")


def test_without_json_people_read_the_same(short: Path, singles: list[dict[str, Any]]) -> None:
    ended = karman("twin", "run", short, "--duration", "4.5", "--seed", "3")
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert singles[0]["digest"] in ended.stdout
    assert "safe (0 violations, 0 trips)" in ended.stdout
    for name in LATENCIES:
        assert re.search(rf"(?m)^  {name} +p50 ", ended.stdout), name
