"""The front as a picture: every trial, the known policies, what is chosen, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.points import REFERENCE, SEARCHED, Point, families, floor_of
from frdiff_tune.report.summary import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), told apart with every common colour blindness; the marker and not the colour alone says which.
# https://jfly.uni-koeln.de/color/
LOOKS: tuple[tuple[str, str], ...] = (
    ("s", "#E69F00"),
    ("^", "#009E73"),
    ("D", "#CC79A7"),
    ("v", "#56B4E9"),
    ("P", "#8C6D00"),
    ("X", "#666666"),
    ("<", "#E69F00"),
    (">", "#009E73"),
    ("p", "#CC79A7"),
    ("h", "#56B4E9"),
)
FRONT, CHOSEN, TRIAL = "#0072B2", "#D55E00", "#B8BEC6"
NOWHERE_BETTER = (0.014, 0.075)  # of the axes: faster and finer than the front, so no point lies between it and the front
BAND = "#E3F1EA"
WITHIN_FLOOR = "closer than the reference is to its own limit"
SPEEDUPS = (1, 1.5, 2, 3, 4, 6, 8, 12)


def front_figure(
    points: Sequence[Point],
    *,
    title: str,
    reference_ms: float,
    chosen: int | None = None,
    limits: Sequence[float] = (),
    floor_lpips: float | None = None,
) -> Figure:
    """Draws a study's points: latency to the right, LPIPS upwards on a log axis, both better when smaller.

    Arguments:
        points: Every measured trial.
        title: The figure's title: the study, the model, the machine.
        reference_ms: Wall time of one unaccelerated pipeline call, in milliseconds.
        chosen: Trial number of the exported point.
        limits: LPIPS limits to mark, if any.
        floor_lpips: The study's floor, below which a band is drawn; None: no band.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 6.2), dpi=160, layout="constrained")
    axes = figure.subplots()
    floor = floor_of(points)
    _trials(axes, points, floor)
    _known(axes, points, floor)
    _front(axes, points, floor)
    axes.plot([reference_ms], [floor], "*", color="black", markersize=13, zorder=6, label="reference", clip_on=False)
    _chosen(axes, points, floor, chosen, reference_ms)
    _frame(axes, points, floor, reference_ms, limits)
    if floor_lpips is not None and floor_lpips > floor:
        axes.axhspan(floor, floor_lpips, color=BAND, lw=0, zorder=0.5, label=WITHIN_FLOOR)
    for line in axes.lines:
        line.set_in_layout(False)  # unclipped marks of an empty family would stand at the figure's corner
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", wrap=True)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, handletextpad=0.4, labelspacing=0.6)
    return figure


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Writes a figure in the format of the path's ending (png, svg, pdf) and returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _place(points: Sequence[Point], floor: float) -> tuple[list[float], list[float]]:
    return [point.latency_ms for point in points], [max(point.lpips, floor) for point in points]


def _trials(axes: Axes, points: Sequence[Point], floor: float) -> None:
    searched = [point for point in points if point.family == SEARCHED]
    label = f"trials of the search ({len(searched)})"
    axes.plot(*_place(searched, floor), "o", color=TRIAL, markersize=4.5, mew=0, zorder=2, label=label, clip_on=False)


def _known(axes: Axes, points: Sequence[Point], floor: float) -> None:
    looks = dict(zip(families(points), cycle(LOOKS), strict=False)) | {REFERENCE: ("*", "black")}
    for family, (marker, colour) in looks.items():
        members = sorted((point for point in points if point.family == family), key=lambda point: point.latency_ms)
        axes.plot(
            *_place(members, floor),
            marker,
            color=colour,
            markersize=6.5,
            markerfacecolor="white",
            markeredgewidth=1.5,
            zorder=3,
            label=family if members else "_",
            clip_on=False,
        )


def _front(axes: Axes, points: Sequence[Point], floor: float) -> None:
    best = sorted((point for point in points if point.on_front), key=lambda point: (point.latency_ms, -point.lpips))
    style: dict[str, Any] = {"color": FRONT, "zorder": 4, "clip_on": False}
    axes.plot(*_place(best, floor), drawstyle="steps-post", linewidth=1.6, alpha=0.75, **style)
    _intervals(axes, best, floor)
    own = [point for point in best if point.family == SEARCHED]
    axes.plot(*_place(own, floor), "o", markersize=6, mew=0, **style)
    axes.plot([], [], "o-", markersize=6, linewidth=1.6, color=FRONT, label=f"front ({len(best)} policies), 95 % intervals")


def _intervals(axes: Axes, best: Sequence[Point], floor: float) -> None:
    """Draws the 95 % intervals of the front's points, as thin lines along both axes."""
    for point in best:
        x, y = point.latency_ms, max(point.lpips, floor)
        style: dict[str, Any] = {"color": FRONT, "linewidth": 0.9, "alpha": 0.55, "zorder": 3.5}
        if point.latency_ends:
            axes.plot(point.latency_ends, (y, y), **style)
        if point.lpips_ends:
            axes.plot((x, x), [max(end, floor) for end in point.lpips_ends], **style)


def _chosen(axes: Axes, points: Sequence[Point], floor: float, chosen: int | None, reference_ms: float) -> None:
    for point in (point for point in points if point.number == chosen):
        x, y = point.latency_ms, max(point.lpips, floor)
        ring: dict[str, Any] = {"markersize": 13, "markerfacecolor": "none", "markeredgecolor": CHOSEN, "markeredgewidth": 2.2}
        axes.plot([x], [y], "o", zorder=7, label="chosen", clip_on=False, **ring)
        axes.annotate(
            f"trial {point.number}\n{reference_ms / point.latency_ms:.2f}× faster\nLPIPS {digits(point.lpips)}",
            (x, y),
            xytext=NOWHERE_BETTER,
            textcoords="axes fraction",
            color=CHOSEN,
            fontsize=9,
            fontweight="bold",
            arrowprops={"arrowstyle": "-", "color": CHOSEN, "relpos": (1, 0.5), "shrinkB": 7},
            zorder=8,
        )


def _frame(axes: Axes, points: Sequence[Point], floor: float, reference_ms: float, limits: Sequence[float]) -> None:
    slowest = max([reference_ms, *(point.latency_ms for point in points)])
    axes.set_yscale("log")
    axes.set_ylim(floor, max([10 * floor, *limits, *(point.lpips for point in points)]) * 2)  # room for a limit's label
    axes.set_xlim(0, slowest * 1.04)
    axes.set_xlabel("latency: ms per picture call, whole pipeline (median)")
    axes.set_ylabel("LPIPS to the reference: mean, AlexNet (log)")
    axes.axhline(floor, color="black", linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    note: dict[str, Any] = {"fontsize": 8, "va": "bottom", "textcoords": "offset points"}
    axes.annotate("LPIPS 0: same pictures (or below the axis)", (0, floor), xytext=(6, 3), **note)
    for limit in limits:
        axes.axhline(limit, color=CHOSEN, linewidth=1, linestyle=":", zorder=1)
        axes.annotate(f"limit {limit:g}", (0, limit), xytext=(6, 3), color=CHOSEN, **note)
    axes.grid(True, which="major", color="#E4E7EB", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["right"]].set_visible(False)
    _speedups(axes, reference_ms)


def _speedups(axes: Axes, reference_ms: float) -> None:
    low, high = axes.get_xlim()
    shown = [factor for factor in SPEEDUPS if low < reference_ms / factor <= high]
    top = axes.secondary_xaxis("top")
    top.set_xticks([reference_ms / factor for factor in shown], [f"{factor:g}×" for factor in shown], fontsize=8.5)
    top.set_xlabel("speed-up over the reference", fontsize=9)
