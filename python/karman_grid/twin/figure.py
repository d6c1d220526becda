"""The figure of a run: feed power, limits and accumulators around the event, as SVG or PNG.

Owns how a series looks on paper. Draws with Matplotlib, which is imported on first use.
May import: `errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karman_grid.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "draw_figure"]

FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours: told apart by people with any of the common colour deficiencies.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_INK = "#222222"
# The second column shows the first event from so long before it to so long after it.
_CLOSE_MS = (-60.0, 440.0)
_CLOSE_POINTS_MIN = 10


def draw_figure(series: Mapping[str, Any], path: Path, title: str) -> None:
    """Writes the figure of ``series`` (keys as in the reference page on results) to ``path``.

    Raises:
        ConfigError: the ending names no format of `FORMATS`, or nothing was recorded.
        EnvironmentFault: the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"--figure: found {path.name!r}, expected a name that ends in {', '.join(FORMATS)}"
        )
    if not series["at_ms"]:
        raise ConfigError("--figure: found a run without any recorded value, expected a longer one")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": _INK, "svg.fonttype": "none"})
    close = _closest(series)
    columns = 1 if close is None else 2
    figure, grid = plt.subplots(
        3,
        columns,
        figsize=(9 if close is None else 13, 7.5),
        sharex="col",
        squeeze=False,
        height_ratios=(2, 3, 1.6),
        width_ratios=(3, 2)[:columns],
        layout="constrained",
    )
    _column(list(grid[:, 0]), series, 0.0, "time, s")
    grid[0, 0].set_title(title, loc="left", fontsize=11)
    _name_events(grid[0, 0], series)
    if close is not None:
        part, origin_ms = close
        _column(list(grid[:, 1]), part, origin_ms, "time after the event, s")
        grid[0, 1].set_title("the event, closer", loc="left", fontsize=11)
        # What a fast answer uses of a curve would lie on the axis at the scale of the limit.
        highest = max(max(ratios) for ratios in part["feed_accumulator_ratio"])
        grid[2, 1].set_ylim(0, max(1.0, 130 * highest))
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}") from None
    finally:
        plt.close(figure)


def _closest(series: Mapping[str, Any]) -> tuple[dict[str, Any], float] | None:
    """The points around the first event and its instant, where there are enough to draw."""
    events = _events(series)
    if not events:
        return None
    origin_ms = events[0][0]
    first_ms, last_ms = origin_ms + _CLOSE_MS[0], origin_ms + _CLOSE_MS[1]
    kept = [at for at, ms in enumerate(series["at_ms"]) if first_ms <= ms <= last_ms]
    if len(kept) < _CLOSE_POINTS_MIN:
        return None
    by_point = ("at_ms", "load_w", "demand_w", "feed_power_w", "feed_accumulator_ratio")
    part = dict(series) | {key: [series[key][at] for at in kept] for key in by_point}
    return part, origin_ms


def _column(rows: list[Axes], series: Mapping[str, Any], origin_ms: float, unit: str) -> None:
    at_s = [(ms - origin_ms) / 1e3 for ms in series["at_ms"]]
    load, feeds, used = rows
    _load(load, at_s, series)
    _feeds(feeds, at_s, series)
    _used(used, at_s, series)
    for axes in rows:
        axes.grid(visible=True, linewidth=0.4, color="#cccccc")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(at_s[0], max(at_s[-1], at_s[0] + 1e-3))
        for at_ms, _ in _events(series):
            at = (at_ms - origin_ms) / 1e3
            axes.axvline(at, color=_INK, linewidth=0.8, linestyle=(0, (2, 2)))
    used.set_xlabel(unit)


def _events(series: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Those that lie on the paper: a run may end before its events."""
    first_ms, last_ms = series["at_ms"][0], series["at_ms"][-1]
    return [(at_ms, name) for at_ms, name in series["events"] if first_ms <= at_ms <= last_ms]


def _name_events(axes: Axes, series: Mapping[str, Any]) -> None:
    previous = -1e9
    span_ms = series["at_ms"][-1] - series["at_ms"][0]
    for at_ms, name in _events(series):
        if at_ms - previous < 0.1 * span_ms:
            continue
        previous = at_ms
        axes.annotate(
            name,
            (at_ms / 1e3, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
        )


def _kilo(values_w: Iterable[float]) -> list[float]:
    """Watts as the axes show them to people: in thousands."""
    return [w / 1e3 for w in values_w]


def _name_line(axes: Axes, at: float, name: str) -> None:
    """Writes ``name`` above a horizontal line at ``at``, at its right end."""
    text = axes.annotate(
        name,
        (0.995, at),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="#B00020",
        annotation_clip=True,
    )
    # A line outside the shown part must not claim room on the paper.
    text.set_in_layout(False)


def _load(axes: Axes, at_s: list[float], series: Mapping[str, Any]) -> None:
    limits = series["limit_w"]
    static_w = sum(limits) - max(limits)
    axes.plot(at_s, _kilo(series["demand_w"]), color="#888888", linewidth=1, label="demand")
    axes.plot(at_s, _kilo(series["load_w"]), color=_INK, linewidth=1.4, label="load")
    axes.axhline(static_w / 1e3, color="#777777", linewidth=1, linestyle="--", label="static rule")
    axes.set_ylabel("site, kW")
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=8)


def _feeds(axes: Axes, at_s: list[float], series: Mapping[str, Any]) -> None:
    columns = zip(*series["feed_power_w"], strict=True)
    for at, (name, power_w) in enumerate(zip(series["feeds"], columns, strict=True)):
        axes.plot(
            at_s,
            _kilo(power_w),
            color=_COLOURS[at % len(_COLOURS)],
            linestyle=_DASHES[at % len(_DASHES)],
            linewidth=1.2,
            label=name,
        )
    for limit_w in sorted(set(series["limit_w"])):
        axes.axhline(limit_w / 1e3, color="#B00020", linewidth=1.2)
        _name_line(axes, limit_w / 1e3, f"limit {limit_w / 1e3:.0f} kW")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("feeds, kW")
    axes.legend(loc="lower right", ncols=len(series["feeds"]), frameon=False, fontsize=8)


def _used(axes: Axes, at_s: list[float], series: Mapping[str, Any]) -> None:
    columns = zip(*series["feed_accumulator_ratio"], strict=True)
    pairs = zip(series["feeds"], columns, strict=True)
    for at, (name, ratio) in enumerate(pairs):
        axes.plot(
            at_s,
            [100 * r for r in ratio],
            color=_COLOURS[at % len(_COLOURS)],
            linestyle=_DASHES[at % len(_DASHES)],
            linewidth=1.2,
            label=name,
        )
    axes.axhline(50, color="#B00020", linewidth=1, linestyle="--")
    _name_line(axes, 50, "never planned beyond")
    axes.set_ylim(0, 60)
    axes.set_ylabel("overload curve used, %")
