"""A policy as a picture: what every part of the network does at every step, lam above, the network calls beside."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.words import network_calls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from frdiff_tune.policy import Policy

KEYFRAME = "#D55E00"
STATES = {"computed": "#0072B2", "given back from an earlier step": "#F3C65F", "network not called": "#FFFFFF"}
"""Dark, light and white: told apart with every common colour blindness, and in print without colours."""
COMPUTED, REUSED, JUMPED = STATES
EDGE = "#C4CAD1"
REST = "all other parts"
ROW_IN, ABOVE_IN, FRAME_IN, LINE_IN = 0.3, 1.0, 1.35, 0.18  # inches: a row, lam, what stands around, a line of the title
TITLE_CHARS = 96  # of a line


def schedule_figure(policy: Policy, title: str) -> Figure:
    """Draws a policy: a row per group and a column per step; above them lam, and a mark at every keyframe.

    Arguments:
        policy: What to draw.
        title: The figure's title.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows, title = schedule_rows(policy), fill(title, TITLE_CHARS)
    below_in = ROW_IN * len(rows)
    height = FRAME_IN + ABOVE_IN + below_in + LINE_IN * title.count("\n")
    figure = Figure(figsize=(8.6, height), dpi=160, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[ABOVE_IN, below_in])
    marks = _mixing(above, policy)
    cells(below, rows)
    below.set_xlabel("step t (0 = first, noisiest)", fontsize=9)
    states = [Patch(facecolor=colour, edgecolor=EDGE, label=state) for state, colour in STATES.items()]
    figure.legend(handles=[*marks, *states], loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    return figure


def schedule_rows(policy: Policy) -> dict[str, list[str]]:
    """Returns what the rows of the figure hold: name -> a key of ``STATES`` per step."""
    plan = policy.plan()
    rows = {
        name: [JUMPED if not step.calls else COMPUTED if name in step.computes else REUSED for step in plan]
        for name in policy.masks
    }
    return {**rows, REST if rows else "whole network": [COMPUTED if step.calls else JUMPED for step in plan]}


def _mixing(axes: Axes, policy: Policy) -> list[Any]:
    """Draws lam and the keyframes; returns what the legend names."""
    steps = range(policy.T)
    axes.fill_between(steps, policy.mixing, step="mid", color=STATES[COMPUTED], alpha=0.15, linewidth=0)
    axes.plot(steps, policy.mixing, drawstyle="steps-mid", color=STATES[COMPUTED], linewidth=1.4)
    keyframes = [t for t, mark in enumerate(policy.keyframes) if mark == "1"]
    marks = axes.plot(keyframes, [1.22] * len(keyframes), "v", color=KEYFRAME, markersize=4.5, mew=0, label="keyframe")
    axes.set_ylim(-0.06, 1.38)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("λ(t)", rotation=0, ha="right", va="center", fontsize=9)
    axes.tick_params(labelsize=8, labelbottom=False, bottom=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.annotate(
        f"{network_calls(policy.nfe)}\nin {policy.T} steps",
        (1.015, 0.5),
        xycoords="axes fraction",
        fontsize=9,
        fontweight="bold",
        va="center",
    )
    return list(marks)


def whole_numbers(axis: Axis) -> None:
    """Puts the ticks of an axis that counts steps or trials at whole numbers, also where there are few."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def cells(axes: Axes, rows: dict[str, list[str]]) -> None:
    """Draws the rows of a schedule, the first one on top.

    Arguments:
        axes: Where.
        rows: As ``schedule_rows`` returns them.
    """
    import numpy as np
    from matplotlib.colors import ListedColormap

    order = list(STATES)
    table = np.array([[order.index(state) for state in row] for row in rows.values()])
    edges = np.arange(table.shape[1] + 1) - 0.5
    look: dict[str, Any] = {"cmap": ListedColormap(list(STATES.values())), "vmin": -0.5, "vmax": len(order) - 0.5}
    axes.pcolormesh(edges, np.arange(len(rows) + 1) - 0.5, table, edgecolors=EDGE, linewidth=0.5, **look)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8.5)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    whole_numbers(axes.xaxis)
