"""Fit of the arrival process: level, burstiness, token distributions.

Owns the method behind `[arrivals]` in workload-2023.toml, residuals included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from karman_grid.twin.arrivals import Arrivals

from tests.fit.fit_serving import Floats, hat_matrix, rms

RATE_KNOT_S = 300.0
RATE_PERIOD_S = 3600.0
DISPERSION_WINDOWS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
CONTEXT_KNOTS = 7
GENERATED_KNOTS = 11
CLASS_LEVELS = (0.10, 0.25, 0.50, 0.75, 0.90)


@dataclass(frozen=True)
class Table:
    """Piecewise linear quantile function: rising values at rising probability levels 0..1."""

    level_ratio: Floats
    value_tokens: Floats
    ks_distance: float


def fit_table(values: Floats, knots: int, *, tail_level: float | None = None) -> Table:
    """Quantile table whose knots are put, one by one, where the distribution fits worst.

    Values lie half-way between whole tokens, so that a draw rounded to the nearest whole number
    meets the measured distribution exactly at every knot. A knot at `tail_level` keeps the mean
    where a long tail weighs little in distance and much in tokens.
    """
    unique, count = np.unique(values, return_counts=True)
    measured = np.cumsum(count) / len(values)
    level, value = [0.0, 1.0], [float(unique[0]) - 0.5, float(unique[-1]) + 0.5]
    if tail_level is not None:
        tail = min(int(np.searchsorted(measured, tail_level)), len(unique) - 2)
        level.insert(1, float(measured[tail]))
        value.insert(1, float(unique[tail]) + 0.5)
    while True:
        error = np.abs(np.interp(unique + 0.5, value, level) - measured)
        worst = int(np.argmax(error))
        if len(level) == knots or error[worst] < 1e-9:
            return Table(np.array(level), np.array(value), float(error[worst]))
        place = int(np.searchsorted(level, measured[worst]))
        level.insert(place, float(measured[worst]))
        value.insert(place, float(unique[worst]) + 0.5)


@dataclass(frozen=True)
class ClassFit:
    """Arrivals of one range of contexts: their rate over the hour and their tokens."""

    rate_knots_per_s: Floats
    context: Table
    generated: Table


@dataclass(frozen=True)
class ArrivalFit:
    """Fast and slow are (block length in s, variance)."""

    classes: list[ClassFit]
    fast: tuple[float, float]
    slow: tuple[float, float]
    residuals: dict[str, object]


def block_variance(window_s: Floats, block_s: float) -> Floats:
    """Variance, over windows, of the mean of a unit-variance factor constant on blocks."""
    ratio = window_s / block_s
    longer = np.maximum(ratio, 1.0)
    return np.where(ratio >= 1.0, (1.0 / longer) * (1.0 - 1.0 / (3.0 * longer)), 1.0 - ratio / 3.0)


def dispersion(t_s: Floats, knots: Floats, end_s: float) -> tuple[Floats, Floats]:
    """Variance of counts about the smooth level ÷ their mean, and mean count, per window."""
    index, mean = [], []
    grid = np.arange(len(knots) + 1) * RATE_KNOT_S
    level = np.append(knots, knots[0])
    for window in DISPERSION_WINDOWS_S:
        edges = np.arange(0.0, end_s + 0.5 * window, window)
        counts = np.histogram(t_s, edges)[0]
        expected = np.interp((edges[1:] + edges[:-1]) / 2.0, grid, level) * window
        index.append(float(np.sum((counts - expected) ** 2) / expected.sum()))
        mean.append(float(expected.mean()))
    return np.array(index), np.array(mean)


def fit_modulation(
    index: Floats, mean: Floats
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Two independent gamma factors (block length, variance) whose dispersion fits `index`."""
    windows = np.array(DISPERSION_WINDOWS_S)
    best: tuple[float, Floats, float, float] = (np.inf, np.zeros(2), 0.0, 0.0)
    for fast_s in np.round(np.geomspace(0.1, 2.0, 27), 2):
        for slow_s in np.round(np.geomspace(5.0, 60.0, 26), 1):
            basis = np.stack([block_variance(windows, b) for b in (fast_s, slow_s)], axis=1)
            scaled = basis * (mean / index)[:, None]
            variance = np.linalg.lstsq(scaled, (index - 1.0) / index)[0]
            error = rms(scaled @ variance - (index - 1.0) / index)
            if variance.min() > 0.0 and error < best[0]:
                best = (error, variance, float(fast_s), float(slow_s))
    return (best[2], float(best[1][0])), (best[3], float(best[1][1])), best[0]


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation with mid-ranks for ties."""

    def rank(x: Floats) -> Floats:
        _, inverse, count = np.unique(x, return_inverse=True, return_counts=True)
        return (np.cumsum(count) - (count - 1) / 2.0)[inverse]

    return float(np.corrcoef(rank(a), rank(b))[0, 1])


def sample_tokens(classes: list[ClassFit], sizes: list[int]) -> tuple[Floats, Floats]:
    """Tokens drawn from the fitted tables, to measure what the fit reproduces."""
    rng = np.random.default_rng(1)
    drawn = [
        np.floor(np.interp(rng.random(20 * size), table.level_ratio, table.value_tokens) + 0.5)
        for part, size in zip(classes, sizes, strict=True)
        for table in (part.context, part.generated)
    ]
    return np.concatenate(drawn[::2]), np.concatenate(drawn[1::2])


def ks(a: Floats, b: Floats) -> float:
    """Largest distance between two empirical distributions."""
    grid = np.union1d(a, b)
    distance = np.searchsorted(np.sort(a), grid, side="right") / len(a) - np.searchsorted(
        np.sort(b), grid, side="right"
    ) / len(b)
    return float(np.abs(distance).max())


def fit_level(t_s: Floats, end_s: float) -> tuple[Floats, float]:
    """Knots of the periodic piecewise linear rate, 1/s, and the RMS error of 10 s rates."""
    edges = np.arange(0.0, end_s + 5.0, 10.0)
    rate = np.histogram(t_s, edges)[0] / 10.0
    grid = np.arange(0.0, RATE_PERIOD_S + 1.0, RATE_KNOT_S)
    hat = hat_matrix((edges[1:] + edges[:-1]) / 2.0, grid)
    hat[:, 0] += hat[:, -1]
    hat = hat[:, :-1]
    knots = np.zeros(hat.shape[1])
    free = np.ones(len(knots), dtype=bool)
    # A rate is never negative: knots that come out below zero are held at zero.
    while True:
        knots[free] = np.linalg.lstsq(hat[:, free], rate)[0]
        if knots.min() >= 0.0:
            return knots, rms(hat @ knots - rate)
        free &= knots > 0.0
        knots[~free] = 0.0


def fit_arrivals(arrivals: Arrivals) -> ArrivalFit:
    """Rate and tokens for each class of contexts, and the burstiness common to all."""
    t = arrivals.t_s
    end_s = float(np.floor(t[-1] / 10.0) * 10.0)
    context = arrivals.context_tokens.astype(np.float64)
    generated = arrivals.generated_tokens.astype(np.float64)
    bounds = np.round(np.quantile(context, CLASS_LEVELS))
    index = np.searchsorted(bounds, context)
    classes = []
    for number in range(len(bounds) + 1):
        inside = index == number
        last = number == len(bounds)
        classes.append(
            ClassFit(
                fit_level(t[inside], end_s)[0],
                fit_table(context[inside], CONTEXT_KNOTS, tail_level=0.99 if last else None),
                fit_table(generated[inside], GENERATED_KNOTS),
            )
        )
    level = np.sum([part.rate_knots_per_s for part in classes], axis=0)
    measured, mean = dispersion(t, level, end_s)
    fast, slow, error = fit_modulation(measured, mean)
    windows = np.array(DISPERSION_WINDOWS_S)
    model = 1.0 + mean * (
        fast[1] * block_variance(windows, fast[0]) + slow[1] * block_variance(windows, slow[0])
    )
    sizes = np.bincount(index).tolist()
    drawn_context, drawn_generated = sample_tokens(classes, sizes)
    _, level_rms = fit_level(t, end_s)
    residuals: dict[str, object] = {
        "arrivals": len(t),
        "span_s": float(t[-1]),
        "class_arrivals": sizes,
        "rate_rms_per_s": level_rms,
        "rate_poisson_rms_per_s": float(np.sqrt(level.mean() / 10.0)),
        "dispersion_window_s": list(DISPERSION_WINDOWS_S),
        "dispersion_measured": measured.tolist(),
        "dispersion_model": model.tolist(),
        "dispersion_rms_ratio": error,
        "context_ks": ks(context, drawn_context),
        "context_ks_by_class": [part.context.ks_distance for part in classes],
        "generated_ks": ks(generated, drawn_generated),
        "generated_ks_by_class": [part.generated.ks_distance for part in classes],
        "context_mean_measured": float(context.mean()),
        "context_mean_model": float(drawn_context.mean()),
        "generated_mean_measured": float(generated.mean()),
        "generated_mean_model": float(drawn_generated.mean()),
        "rank_correlation_measured": spearman(context, generated),
        "rank_correlation_model": spearman(drawn_context, drawn_generated),
    }
    return ArrivalFit(classes, fast, slow, residuals)
