"""`twin run`: control modes, sites and their figures, options, and what it leaves on disk."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.service.command import assert_refused, karman
from tests.sim.halls import change, run, scenario, site

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenario(tmp_path_factory.mktemp("short") / "short.toml")


@pytest.fixture(scope="module")
def controlled(short: Path) -> dict[str, Any]:
    return run(short, "--duration", "4.5")


def facts(path: Path) -> dict[str, Any]:
    ended = karman("check", path, "--json", "-")
    assert (ended.returncode, ended.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_without_control_it_trips_and_exits_1(short: Path) -> None:
    document = run(short, "--duration", "18", "--control", "off", code=1)
    assert document["trips"] > 0
    assert document["unsafe"] > 0
    assert document["control"] == "off"
    assert document["latency_ms"]["react"]["count"] == 0


def test_the_static_rule_is_safe_and_serves_less(short: Path, controlled: dict[str, Any]) -> None:
    document = run(short, "--duration", "4.5", "--control", "static-75")
    assert (document["unsafe"], document["trips"]) == (0, 0)
    assert document["utilisation_before_ratio"] <= 0.76
    assert document["energy_kwh"] < 0.95 * controlled["energy_kwh"]
    assert document["work_lost_ratio"] > controlled["work_lost_ratio"]


def test_control_uses_the_reserve_and_brings_survivors_back(controlled: dict[str, Any]) -> None:
    assert (controlled["unsafe"], controlled["trips"]) == (0, 0)
    assert controlled["survivor_peak_ratio"] >= 1.2
    assert 0.80 <= controlled["grant_ratio"] <= 0.85
    floor = 0.75 + 0.95 * 0.25 * controlled["grant_ratio"]
    assert controlled["utilisation_before_ratio"] >= floor
    assert controlled["served_of_optimum_ratio"] >= 0.97
    assert controlled["time_to_limit_ms"] < 1000
    assert controlled["accumulator_max_ratio"] <= 0.5
    assert controlled["critical_shed_w"] == 0
    assert controlled["latency_ms"]["react"]["max"] < 50


def test_the_grant_follows_the_sharing_error(tmp_path: Path) -> None:
    path = site(tmp_path / "x.toml", (r"psu_sharing_error = 0\.02", "psu_sharing_error = 0.05"))
    assert 0.59 <= facts(path)["grant_ratio"] <= 0.64
    assert 0.59 <= run("steady", "--duration", "1", "--site", path)["grant_ratio"] <= 0.64


def quarter_ups_times(path: Path) -> Path:
    """Every tolerated time of the UPS curves ÷ 4."""
    return site(
        path,
        (
            r"\[\[1\.05, 3600\.0\], \[1\.10, 60\.0\], \[1\.25, 15\.0\], \[1\.33, 10\.0\], "
            r"\[1\.50, 1\.5\]\]",
            "[[1.05, 900.0], [1.10, 15.0], [1.25, 3.75], [1.33, 2.5], [1.50, 0.375]]",
        ),
    )


def test_the_grant_follows_the_ups_curves(tmp_path: Path) -> None:
    plain = facts(site(tmp_path / "plain.toml"))["grant_ratio"]
    path = quarter_ups_times(tmp_path / "x.toml")
    assert 0.80 <= plain <= 0.85
    assert 0 < facts(path)["grant_ratio"] < plain - 0.05
    document = run("steady", "--duration", "1", "--site", path)
    assert document["grant_ratio"] == pytest.approx(facts(path)["grant_ratio"], abs=0.01)


NO_GRANT = {
    "writing not allowed": (r"(?m)^write = true$", "write = false"),
    "no actuator": (
        r'(?s)\[\[actuator\]\]\nid = "twin-gpus"\nadapter = "twin"\nwrite = true\n',
        "",
    ),
    "jobs do not wait": ("jobs_wait_for_lease = true", "jobs_wait_for_lease = false"),
}


@pytest.mark.parametrize("what", NO_GRANT)
def test_without_means_there_is_no_grant(what: str, tmp_path: Path) -> None:
    path = site(tmp_path / "x.toml", NO_GRANT[what])
    document = run("steady", "--duration", "1", "--site", path)
    assert document["grant_ratio"] == 0
    assert document["unsafe"] == document["trips"] == 0
    if what == "jobs do not wait":
        assert facts(path)["grant_ratio"] == 0


@pytest.mark.parametrize(
    ("kind", "options"),
    [("4n3", ("--racks", "12", "--skew", "0.3")), ("3n2", ()), ("2n", ())],
)
def test_templates_are_accepted_everywhere(
    kind: str, options: tuple[str, ...], short: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"{kind}.toml"
    printed = karman("site", "template", kind, *options)
    assert (printed.returncode, printed.stderr) == (0, "")
    path.write_text(printed.stdout)
    assert 0 <= facts(path)["grant_ratio"] <= 1
    ended = karman("check", path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "good" in ended.stdout
    document = run(short, "--duration", "3", "--site", path)
    assert (document["unsafe"], document["trips"]) == (0, 0)
    assert document["latency_ms"]["react"]["count"] == document["commands_expected"]
    ended = karman(
        *("run", path, "--port", "0", "--for", "1"),
        env={"KARMAN_GRID_STATE": str(tmp_path / "state")},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Ended." in ended.stdout


def test_figures_are_images(short: Path, tmp_path: Path) -> None:
    png, svg = tmp_path / "a.png", tmp_path / "b.SVG"
    for path, duration in ((png, "3"), (svg, "0.5")):
        ended = karman("twin", "run", short, "--duration", duration, "--figure", path)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert str(path) in ended.stdout
    assert png.read_bytes().startswith(PNG)
    assert b"IEND" in png.read_bytes()[-12:]
    root = ET.fromstring(svg.read_text())
    assert root.tag.endswith("svg")
    words = " ".join(root.itertext())
    for word in ("feed-a", "limit 250 kW", "overload curve used", "static rule", "time, s"):
        assert word in words


def test_json_goes_to_a_file_beside_the_words(short: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    ended = karman("twin", "run", short, "--duration", "2", "--json", target)
    assert ended.returncode == 0
    document = json.loads(target.read_text())
    assert document["digest"] in ended.stdout
    assert document["duration_s"] == 2


@pytest.mark.slow
def test_the_document_is_written_where_the_answer_is_no(short: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    args = ("--duration", "18", "--control", "off", "--json", target)
    assert karman("twin", "run", short, *args).returncode == 1
    assert json.loads(target.read_text())["unsafe"] > 0


BAD_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "an unknown scenario": (("feed-los",), ("did you mean", "feed-loss")),
    "a missing file": (("absent.toml",), ("absent.toml", "no such file")),
    "a control": (("steady", "--control", "of"), ("--control", "static-75")),
    "a seed": (("steady", "--seed", "-1"), ("--seed",)),
    "no runs": (("steady", "--runs", "0"), ("--runs",)),
    "a duration": (("steady", "--duration", "nan"), ("--duration",)),
    "an endless duration": (("steady", "--duration", "inf"), ("--duration",)),
    "a short duration": (("steady", "--duration", "0"), ("--duration",)),
    "a figure": (("steady", "--figure", "x.bmp"), ("--figure", ".svg")),
    "a trace of many": (("steady", "--trace", "x", "--runs", "2"), ("--trace", "--runs")),
    "a site": (("steady", "--site", "4n4"), ("4n4", "4n3")),
    "an option": (("steady", "--sede", "1"), ("--sede",)),
}


@pytest.mark.parametrize("what", BAD_OPTIONS)
def test_bad_options_are_refused(what: str, tmp_path: Path) -> None:
    args, words = BAD_OPTIONS[what]
    assert_refused(karman("twin", "run", *args, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_an_event_that_aims_at_nothing_of_the_site_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    text = scenario(path, "demo").read_text()
    path.write_text(change(text, 'element = "feed-b"', 'element = "feed-x"'))
    line = path.read_text().splitlines().index('element = "feed-x"') + 1
    assert_refused(karman("twin", "run", path), f"{path}:{line}:", "feed-x")


HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROWS = "".join(f"2023-11-16 18:15:{s:02d}.5000000,{100 + s},{10 + s}\n" for s in range(50))
BAD_ARRIVALS = {
    "no rows": (HEAD, ""),
    "another head": ("TIMESTAMP,Tokens\n" + ROWS, ":1:"),
    "a word for a number": (HEAD + ROWS + "2023-11-16 18:16:00.0000000,many,1\n", ":52:"),
    "a negative number": (HEAD + "2023-11-16 18:15:00.0000000,-4,1\n" + ROWS, ":2:"),
    "a missing column": (HEAD + ROWS + "2023-11-16 18:16:00.0000000,4\n", ":52:"),
    "a date that is none": (HEAD + ROWS + "2023-13-16 18:16:00.0000000,4,1\n", ":52:"),
    "time going back": (HEAD + ROWS + "2023-11-16 18:14:00.0000000,4,1\n", ":52:"),
}


@pytest.mark.parametrize("what", BAD_ARRIVALS)
def test_damaged_arrivals_name_file_and_line(what: str, tmp_path: Path) -> None:
    text, place = BAD_ARRIVALS[what]
    path = tmp_path / "arrivals.csv"
    path.write_text(text)
    ended = karman("twin", "run", "inference-day", "--duration", "5", "--arrivals", path)
    assert_refused(ended, f"{path}{place}")


def test_arrivals_make_the_demand(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.csv"
    path.write_text(HEAD + ROWS)
    args = ("inference-day", "--duration", "20")
    few = run(*args, "--arrivals", path)
    path.write_text(HEAD + "".join(row + "\n" + row + "\n" for row in ROWS.splitlines()))
    more = run(*args, "--arrivals", path)
    fitted = run(*args)
    assert few["energy_kwh"] < more["energy_kwh"]
    assert len({few["digest"], more["digest"], fitted["digest"]}) == 3
