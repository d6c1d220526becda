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
    figure, (load, feeds, used) = plt.subplots(
        3, 1, figsize=(9, 7.5), sharex=True, height_ratios=(2, 3, 1.6), layout="constrained"
    )
    at_s = [ms / 1e3 for ms in series["at_ms"]]
    _load(load, at_s, series)
    _feeds(feeds, at_s, series)
    _used(used, at_s, series)
    for axes in (load, feeds, used):
        axes.grid(visible=True, linewidth=0.4, color="#cccccc")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(at_s[0], max(at_s[-1], at_s[0] + 1e-3))
        for at_ms, _ in _events(series):
            axes.axvline(at_ms / 1e3, color=_INK, linewidth=0.8, linestyle=(0, (2, 2)))
    load.set_title(title, loc="left", fontsize=11)
    used.set_xlabel("time, s")
    _name_events(load, series)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}") from None
    finally:
        plt.close(figure)


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
        axes.annotate(
            f"limit {limit_w / 1e3:.0f} kW",
            (0.995, limit_w / 1e3),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#B00020",
        )
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
    axes.annotate(
        "never planned beyond",
        (0.995, 50),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="#B00020",
    )
    axes.set_ylim(0, 60)
    axes.set_ylabel("overload curve used, %")
