"""The shipped workload parameters are what the fit gives on the measured files."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pytest
from karman_grid.twin.arrivals import read_arrivals

from tests.fit.fit_arrivals import block_variance, fit_arrivals, fit_table
from tests.fit.fit_serving import fit_serving, read_perf
from tests.fit.fit_workload import ARRIVALS_FILE, PERF_FILE, data_dir, render

SHIPPED = resources.files("karman_grid.twin") / "data" / "workload-2023.toml"


def shipped() -> dict:
    return tomllib.loads(SHIPPED.read_text("utf-8"))


def close(path: str, got: object, want: object) -> None:
    """Same shape throughout, numbers within 0.1 % (the files are rounded to 7 digits)."""
    if isinstance(want, dict):
        assert isinstance(got, dict), path
        assert set(got) == set(want), path
        for key in want:
            close(f"{path}.{key}", got[key], want[key])
    elif isinstance(want, list):
        assert isinstance(got, list), path
        assert len(got) == len(want), path
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            close(f"{path}[{index}]", one, other)
    elif isinstance(want, float):
        assert got == pytest.approx(want, rel=1e-3, abs=1e-7), path
    else:
        assert got == want, path


def test_refit_gives_the_shipped_parameters():
    folder = data_dir()
    for name in (ARRIVALS_FILE, PERF_FILE):
        if not (folder / name).is_file():
            pytest.skip(f"no measured file {folder / name}")
    want = shipped()
    serving = fit_serving(read_perf(folder / PERF_FILE))
    arrivals = fit_arrivals(read_arrivals(folder / ARRIVALS_FILE))
    scale = want["calibration"]["arrival_scale"]
    close("workload", tomllib.loads(render(serving, arrivals, scale, want["fitted_on"])), want)


def test_shipped_residuals_are_small():
    residuals = shipped()["residuals"]
    assert residuals["serving"]["prefill_time_rms_ratio"] < 0.10
    assert residuals["serving"]["decode_time_rms_ratio"] < 0.05
    assert residuals["serving"]["prefill_power_rms"] < 0.05
    assert residuals["serving"]["decode_power_rms"] < 0.02
    # The reading of the average power that was chosen must be the one that fits better.
    assert residuals["serving"]["decode_power_rms"] < residuals["serving"]["decode_power_mixed_rms"]
    assert residuals["arrivals"]["context_ks"] < 0.02
    assert residuals["arrivals"]["generated_ks"] < 0.02
    assert residuals["arrivals"]["dispersion_rms_ratio"] < 0.03


def test_nothing_but_fitted_numbers_is_shipped():
    # A measured file has thousands of rows; the fit has a few hundred numbers.
    text = SHIPPED.read_text("utf-8")
    assert len(text) < 12_000
    sources = shipped()["source"]
    assert {source["licence"] for source in sources} == {"CC-BY-4.0", "MIT"}


def test_quantile_table_meets_atoms_and_ends():
    values = np.repeat([10.0, 20.0, 21.0, 90.0], [10, 50, 30, 10])
    table = fit_table(values, 5)
    assert table.ks_distance < 1e-9
    at = dict(zip(table.value_tokens.tolist(), table.level_ratio.tolist(), strict=True))
    assert at[9.5] == 0.0
    assert at[20.5] == pytest.approx(0.6)
    assert at[90.5] == 1.0


def test_block_variance_is_that_of_a_simulated_factor():
    rng = np.random.default_rng(4)
    fine = np.repeat(rng.normal(size=40_000), 10)  # blocks of 1 s in steps of 0.1 s
    for window in (5, 20, 70):
        sums = np.convolve(fine, np.ones(window) / window, "valid")
        model = float(block_variance(np.array([window / 10.0]), 1.0)[0])
        assert sums.var() == pytest.approx(model, rel=0.03)
