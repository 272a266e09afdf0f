"""How the front grew: over trials and over time, beside what the policies that people use today hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frdiff_tune.report.front_figure import FRONT
from frdiff_tune.report.schedule_figure import whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from frdiff_tune.search.growth import Grown

KNOWN = "#E69F00"


def growth_figure(grown: Sequence[Grown], title: str) -> Figure:
    """Draws the hypervolume of everything measured so far, left over trials, right over time.

    Arguments:
        grown: A record per measured trial, at least one.
        title: The figure's title.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.6), dpi=160, layout="constrained")
    trials, times = figure.subplots(1, 2, sharey=True)
    _curves(trials, [each.evaluations for each in grown], grown)
    _curves(times, [each.seconds / 60 for each in grown], grown)
    trials.set_xlabel("trials measured", fontsize=9)
    whole_numbers(trials.xaxis)
    trials.set_ylabel("hypervolume held (decades of LPIPS\n× share of the reference's time)", fontsize=9)
    times.set_xlabel("minutes spent on trials", fontsize=9)
    handles, labels = trials.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    return figure


def _curves(axes: Axes, xs: Sequence[float], grown: Sequence[Grown]) -> None:
    volumes = [each.volume for each in grown]
    axes.plot(
        xs, [each.known for each in grown], drawstyle="steps-post", color=KNOWN, linestyle="--", label="known policies alone"
    )
    axes.plot(xs, volumes, drawstyle="steps-post", color=FRONT, linewidth=1.8, label="all policies")
    best = [(x, each.volume) for x, each in zip(xs, grown, strict=True) if each.on_front]
    axes.plot(*zip(*best, strict=True), "o", color=FRONT, markersize=3.8, mew=0, label="a trial that joined the front")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(True, color="#E4E7EB", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
