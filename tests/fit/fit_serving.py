"""Fit of the serving model: times and power ratios of prefill and decode.

Owns the reading of the splitwise-sim table and the least squares over it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PREFILL_KNOTS = np.array([128.0, 512.0, 2048.0, 8192.0, 32768.0])


@dataclass(frozen=True)
class PerfRows:
    """Mean of the repetitions of each configuration (llama2-70b, a100-80gb, 8 GPUs)."""

    prompt_tokens: Floats
    batch: Floats
    generated_tokens: Floats
    peak_ratio: Floats
    average_ratio: Floats
    prompt_s: Floats
    token_s: Floats
    total_s: Floats

    @property
    def batch_tokens(self) -> Floats:
        return self.prompt_tokens * self.batch


def read_perf(path: Path) -> PerfRows:
    """Rows of llama2-70b on 8 x A100-80GB, repetitions averaged; times in s, powers over TDP."""
    groups: dict[tuple[int, int, int], list[list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["model"], row["hardware"], row["tensor_parallel"]) != (
                "llama2-70b",
                "a100-80gb",
                "8",
            ):
                continue
            key = (int(row["prompt_size"]), int(row["batch_size"]), int(row["token_size"]))
            groups.setdefault(key, []).append(
                [float(row["peak_power"]), float(row["average_power"])]
                + [float(row[name]) / 1000.0 for name in ("prompt_time", "token_time", "e2e_time")]
            )
    keys = np.array(sorted(groups), dtype=np.float64)
    means = np.array([np.mean(groups[key], axis=0) for key in sorted(groups)])
    return PerfRows(*keys.T, *means.T)


def hat_matrix(x: Floats, knots: Floats) -> Floats:
    """Weights of each knot in the piecewise linear function through `knots`, at each `x`."""
    basis = np.eye(len(knots))
    return np.stack([np.interp(x, knots, basis[i]) for i in range(len(knots))], axis=1)


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@dataclass(frozen=True)
class ServingFit:
    prefill_time_s: Floats
    prefill_power_ratio: Floats
    decode_time_base_s: float
    decode_time_per_request_s: float
    decode_power_ratio_base: float
    decode_power_ratio_per_request: float
    decode_power_requests_max: int
    residuals: dict[str, float | int]


def fit_serving(perf: PerfRows) -> ServingFit:
    """Least squares of the relative errors of times and the absolute errors of power ratios."""
    tokens = perf.batch_tokens
    hat = hat_matrix(tokens, PREFILL_KNOTS)
    prefill_time = np.linalg.lstsq(hat / perf.prompt_s[:, None], np.ones(len(tokens)))[0]
    time_error = hat @ prefill_time / perf.prompt_s - 1.0

    line = np.stack([np.ones(len(tokens)), perf.batch], axis=1)
    decode_time = np.linalg.lstsq(line / perf.token_s[:, None], np.ones(len(tokens)))[0]
    token_error = line @ decode_time / perf.token_s - 1.0

    # A zero means that power was not measured in that configuration.
    measured = perf.peak_ratio > 0.0
    within = measured & (tokens <= 8192.0)
    hat_power = hat_matrix(tokens[within], PREFILL_KNOTS[:4])
    power = np.linalg.lstsq(hat_power, perf.peak_ratio[within])[0]
    power = np.minimum(np.append(power, power[-1]), 1.0)
    power_error = hat_matrix(tokens[within], PREFILL_KNOTS) @ power - perf.peak_ratio[within]

    # An average below the prefill phase's own share of it contradicts its row: left out.
    share = perf.prompt_s / perf.total_s
    usable = measured & (perf.average_ratio > perf.peak_ratio * share)
    decode = line[usable]
    direct = np.linalg.lstsq(decode, perf.average_ratio[usable])[0]
    direct_error = decode @ direct - perf.average_ratio[usable]
    mixed_target = perf.average_ratio - perf.peak_ratio * share
    weighted = (decode.T * (1.0 - share[usable])).T
    mixed = np.linalg.lstsq(weighted, mixed_target[usable])[0]
    mixed_error = weighted @ mixed - mixed_target[usable]

    return ServingFit(
        prefill_time,
        power,
        float(decode_time[0]),
        float(decode_time[1]),
        float(direct[0]),
        float(direct[1]),
        int(perf.batch[usable].max()),
        {
            "prefill_time_rows": len(tokens),
            "prefill_time_rms_ratio": rms(time_error),
            "prefill_time_max_ratio": float(np.abs(time_error).max()),
            "decode_time_rms_ratio": rms(token_error),
            "decode_time_max_ratio": float(np.abs(token_error).max()),
            "prefill_power_rows": int(within.sum()),
            "prefill_power_rms": rms(power_error),
            "prefill_power_max": float(np.abs(power_error).max()),
            "decode_power_rows": int(usable.sum()),
            "decode_power_rms": rms(direct_error),
            "decode_power_max": float(np.abs(direct_error).max()),
            "decode_power_mixed_rms": rms(mixed_error),
        },
    )
