"""Fits the workload model: parameters and residuals of `twin/data/workload-2023.toml`.

Owns the way from the two measured files (never shipped) to the few numbers that are shipped.
Reads `$KARMAN_GRID_DATA/workload`; needs numpy only; writes the TOML to the path given, or to
standard output. The method is in `docs/reference/workload-model.md`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path

import numpy as np
from karman_grid.twin.arrivals import read_arrivals

from tests.fit.fit_arrivals import RATE_PERIOD_S, ArrivalFit, fit_arrivals
from tests.fit.fit_serving import PREFILL_KNOTS, ServingFit, fit_serving, read_perf

COMMAND = "python -m tests.fit.fit_workload --arrival-scale SCALE FILE"
ARRIVALS_FILE = "azure_llm_2023_conv.csv"
PERF_FILE = "splitwise_perf_model.csv"

# Hall the default arrival scale is calibrated for; the scale itself is found by the test
# `calibrate_arrival_scale` of the crate karman-grid-twin and passed in with --arrival-scale.
SERVERS = 128
GPUS_PER_SERVER = 8
SERVER_FIXED_W = 2800.0
GPU_TDP_W = 700.0
PEAK_TARGET_W = 961_500.0


def data_dir() -> Path:
    """Folder of the measured files: `$KARMAN_GRID_DATA/workload`, default `../shared/data`."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("KARMAN_GRID_DATA", root.parent / "shared" / "data")) / "workload"


def number(value: object) -> str:
    if isinstance(value, bool | str):
        raise TypeError(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    text = f"{float(value):.7g}"  # type: ignore[arg-type]
    if "e" in text:
        text = f"{float(text):.10f}".rstrip("0")
    return text if "." in text else text + ".0"


def array(values: object) -> str:
    return "[" + ", ".join(number(x) for x in np.asarray(values).tolist()) + "]"


def section(name: str, values: dict[str, object]) -> list[str]:
    lines = ["", f"[{name}]"]
    for key, value in values.items():
        lines.append(f"{key} = {array(value) if isinstance(value, list) else number(value)}")
    return lines


def header(fitted_on: str) -> list[str]:
    return [
        "# Workload model fitted to measurements of 2023; see docs/reference/workload-model.md.",
        "# Written by tests/fit/fit_workload.py: edit there, not here. Only fitted numbers are",
        "# shipped; the measured files are not part of karman-grid.",
        "schema = 1",
        'name = "azure-llm-2023-conv"',
        f'fitted_on = "{fitted_on}"',
        f'command = "{COMMAND}"',
        "",
        "[[source]]",
        f'file = "{ARRIVALS_FILE}"',
        'repository = "github.com/Azure/AzurePublicDataset"',
        'path = "data/AzureLLMInferenceTrace_conv.csv"',
        'licence = "CC-BY-4.0"',
        'holder = "Microsoft"',
        'recorded_on = "2023-11-16"',
        'gives = "arrivals"',
        "",
        "[[source]]",
        f'file = "{PERF_FILE}"',
        'repository = "github.com/Mutinifni/splitwise-sim"',
        'path = "data/perf_model.csv"',
        'licence = "MIT"',
        'rows = "llama2-70b, a100-80gb, tensor_parallel 8"',
        'gives = "serving; A100 power over its TDP, applied to the GPU of the hall"',
    ]


def render(serving: ServingFit, arrivals: ArrivalFit, scale: float, fitted_on: str) -> str:
    """The TOML document: `[serving]` and `[arrivals]` are what the twin reads as they stand."""
    lines = header(fitted_on)
    lines += [
        "",
        "[serving]",
        "prefill_tokens = " + array(PREFILL_KNOTS),
        "prefill_time_s = " + array(serving.prefill_time_s),
        "prefill_power_ratio = " + array(serving.prefill_power_ratio),
        "decode_time_base_s = " + number(serving.decode_time_base_s),
        "decode_time_per_request_s = " + number(serving.decode_time_per_request_s),
        "decode_power_ratio_base = " + number(serving.decode_power_ratio_base),
        "decode_power_ratio_per_request = " + number(serving.decode_power_ratio_per_request),
        "# Power was measured up to this batch; beyond it the ratio is held.",
        f"decode_power_requests_max = {serving.decode_power_requests_max}",
        "# 70 W of 700 W, unverified.",
        "idle_power_ratio = 0.1",
        "# Limits of the scheduler; assumed, unverified. Token times beyond a batch of 64 are",
        "# extrapolated.",
        "prefill_batch_tokens_max = 2048",
        "decode_requests_max = 256",
        "# The requests of one arrival are spread evenly over this time; assumed.",
        "spread_s = 1.0",
        "",
        "[arrivals]",
        f"rate_period_s = {RATE_PERIOD_S}",
    ]
    for name, (block_s, variance) in (("fast", arrivals.fast), ("slow", arrivals.slow)):
        lines += section(f"arrivals.burst_{name}", {"block_s": block_s, "variance": variance})
    for part in arrivals.classes:
        lines += ["", "[[arrivals.classes]]", "rate_knots_per_s = " + array(part.rate_knots_per_s)]
        for name, table in (("context", part.context), ("generated", part.generated)):
            lines += [
                f"{name}.level_ratio = " + array(table.level_ratio),
                f"{name}.value_tokens = " + array(table.value_tokens),
            ]
    lines += [
        "",
        "# Requests that each arrival stands for, such that the largest 10 s mean of the hall's",
        "# uncapped load under the measured arrivals is peak_target_w.",
        "[calibration]",
        f"arrival_scale = {number(scale)}",
        f"peak_target_w = {PEAK_TARGET_W}",
        "peak_window_s = 10.0",
        f"servers = {SERVERS}",
        f"gpus_per_server = {GPUS_PER_SERVER}",
        f"server_fixed_w = {SERVER_FIXED_W}",
        f"gpu_tdp_w = {GPU_TDP_W}",
    ]
    lines += section("residuals.serving", dict(serving.residuals))
    lines += section("residuals.arrivals", arrivals.residuals)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", nargs="?", type=Path, help="TOML to write; default: stdout")
    parser.add_argument("--arrival-scale", type=float, required=True)
    parser.add_argument(
        "--fitted-on", default=datetime.datetime.now(datetime.UTC).date().isoformat()
    )
    options = parser.parse_args()
    folder = data_dir()
    serving = fit_serving(read_perf(folder / PERF_FILE))
    arrivals = fit_arrivals(read_arrivals(folder / ARRIVALS_FILE))
    text = render(serving, arrivals, options.arrival_scale, options.fitted_on)
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
