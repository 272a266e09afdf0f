"""What changes from step to step, as heat maps: where a group may be given back, and for how long."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MeasureError
from frdiff_tune.report.schedule_figure import whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from frdiff_tune.measure import Profile

COLUMNS = 4
LEAST, MOST = 0.003, 1.0  # of the colours: at 100 % what is given back is as far off as nothing would be
TICKS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
COLOURS = "viridis"


def profile_figure(profile: Profile, title: str) -> Figure:
    """Draws the change of every group: above between neighbouring steps, all groups below each other; then a panel each.

    Arguments:
        profile: With recorded changes.
        title: The figure's title: the model.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.

    Raises:
        MeasureError: If no changes were recorded.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    similarity = profile.similarity
    if similarity is None or not similarity.change:
        raise MeasureError("`similarity` must be recorded for a figure but is not. Profile with at least one case (--cases 4).")
    names = list(similarity.change)
    columns = min(COLUMNS, len(names))
    rows = ceil(len(names) / columns)
    top = 0.9 + 0.22 * len(names)
    figure = Figure(figsize=(2.4 + 2.6 * columns, 1.2 + top + 2.7 * rows), dpi=130, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[top, 2.7 * rows])
    above, below = parts
    look: dict[str, Any] = {"norm": LogNorm(LEAST, MOST), "cmap": COLOURS}
    drawn = _neighbours(above.subplots(), {name: similarity.neighbours(name) for name in names}, look)
    panels = below.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for i, axes in enumerate(panels.flat):
        if i < len(names):
            _panel(axes, names[i], similarity.change[names[i]], look)
            axes.tick_params(labelbottom=i + columns >= len(names))
        else:
            axes.set_axis_off()
    below.supxlabel("s: the step that is given back (0 = first, noisiest)", fontsize=9)
    below.supylabel("t: the step at which it is given back", fontsize=9)
    bar = below.colorbar(drawn, ax=panels, extend="both", ticks=TICKS, shrink=0.8, aspect=40)
    bar.ax.set_yticklabels([f"{100 * tick:g} %" for tick in TICKS])
    bar.set_label("relative change of what would be given back,\n‖v[t] − v[s]‖ / ‖v[t]‖, mean over cases", fontsize=9)
    figure.suptitle(f"{title}\n{_subtitle(profile)}", x=0.02, ha="left", fontsize=10)
    return figure


def _subtitle(profile: Profile) -> str:
    assert profile.similarity is not None
    call = profile.call
    return (
        f"how much features change from step to step in a full run: {call.T} steps, {call.scheduler}, "
        f"{cases(profile.similarity.cases)}. Dark: giving back comes close to computing"
    )


def cases(count: int) -> str:
    """Returns so many cases in words."""
    return "1 case" if count == 1 else f"{count} cases"


def _neighbours(axes: Axes, changes: dict[str, tuple[float, ...]], look: dict[str, Any]) -> Any:  # noqa: ANN401
    """Draws a row per group and a column per step; returns what the colour bar is for."""
    import numpy as np

    table = np.array(list(changes.values()))
    edges = np.arange(table.shape[1] + 1) + 0.5
    drawn = axes.pcolormesh(edges, np.arange(len(changes) + 1) - 0.5, table, **look)
    axes.set_yticks(range(len(changes)), list(changes), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("step t: change since the step before, t − 1", fontsize=9)
    axes.tick_params(length=0, labelsize=8)
    whole_numbers(axes.xaxis)
    return drawn


def _panel(axes: Axes, name: str, change: tuple[tuple[float, ...], ...], look: dict[str, Any]) -> None:
    """Draws one group: step t downwards, the earlier step s to the right."""
    import numpy as np

    T = len(change)
    table = np.full((T, T), np.nan)
    for t, row in enumerate(change):
        table[t, :t] = row
    axes.imshow(table, interpolation="nearest", **look)
    axes.set_title(name, fontsize=9)
    axes.tick_params(labelsize=7)
    whole_numbers(axes.xaxis)
    whole_numbers(axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
