"""LPIPS over network calls: which policy is closest with how many calls, whatever a call costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frdiff_tune.report.front_figure import BAND, FRONT, LOOKS, TRIAL, WITHIN_FLOOR
from frdiff_tune.report.points import REFERENCE, SEARCHED, Point, families, floor_of
from frdiff_tune.report.schedule_figure import whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def calls_figure(points: Sequence[Point], *, title: str, floor_lpips: float | None = None) -> Figure:
    """Draws a study's points: network calls to the right, LPIPS upwards on a log axis, both better when smaller.

    Arguments:
        points: Every measured trial.
        title: The figure's title.
        floor_lpips: The study's floor, below which a band is drawn; None: no band.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 4.8), dpi=160, layout="constrained")
    axes = figure.subplots()
    floor = floor_of(points)
    searched = [point for point in points if point.family == SEARCHED]
    _marks(axes, [point for point in searched if not point.reuses], floor, "o", TRIAL, "trials of the search", filled=True)
    _marks(axes, [point for point in searched if point.reuses], floor, "o", TRIAL, "trials that reuse layers at some calls")
    for family, (marker, colour) in zip(families(points), LOOKS * 4, strict=False):
        _marks(axes, [point for point in points if point.family == family], floor, marker, colour, family)
    _marks(axes, [point for point in points if point.family == REFERENCE], floor, "*", "black", "reference", filled=True)
    closest = closest_by_calls(points)
    xs, ys = [point.nfe for point in closest], [max(point.lpips, floor) for point in closest]
    axes.plot(xs, ys, drawstyle="steps-post", color=FRONT, linewidth=1.6, alpha=0.75, zorder=4, label="closest so far")
    axes.set_yscale("log")
    axes.set_ylim(floor, 2 * max([10 * floor, *(point.lpips for point in points)]))
    axes.set_xlim(0, 1.04 * max((point.nfe for point in points), default=1))
    whole_numbers(axes.xaxis)
    axes.set_xlabel("network calls per image")
    axes.set_ylabel("LPIPS to the reference: mean, AlexNet (log)")
    if floor_lpips is not None and floor_lpips > floor:
        axes.axhspan(floor, floor_lpips, color=BAND, lw=0, zorder=0.5, label=WITHIN_FLOOR)
    axes.grid(True, which="major", color="#E4E7EB", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, handletextpad=0.4)
    return figure


def closest_by_calls(points: Sequence[Point]) -> list[Point]:
    """Returns the points that are closer than every one with no more network calls, the fewest calls first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.nfe, point.lpips)):
        if not front or point.lpips < front[-1].lpips:
            front.append(point)
    return front


def _marks(
    axes: Axes, points: Sequence[Point], floor: float, marker: str, colour: str, label: str, filled: bool = False
) -> None:
    if points:
        axes.plot(
            [point.nfe for point in points],
            [max(point.lpips, floor) for point in points],
            marker,
            color=colour,
            markersize=13 if marker == "*" else 6,
            markerfacecolor=colour if filled else "white",
            markeredgewidth=0 if filled else 1.4,
            zorder=3,
            label=label,
            clip_on=False,
        )
