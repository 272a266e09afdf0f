"""What mattered: how much of each objective every choice explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from frdiff_tune.report.front_figure import FRONT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 10
"""Choices in the figure, those that explain most of any objective."""
ROW_IN = 0.27


def importance_figure(shares: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Draws a panel of bars per objective, the same choices in the same order in each.

    Arguments:
        shares: Objective -> choice -> share of its variance, at least one of each.
        title: The figure's title.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure

    choices = ranked(shares)
    figure = Figure(figsize=(8.6, 1.3 + ROW_IN * len(choices)), dpi=160, layout="constrained")
    panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
    for axes, (objective, own) in zip(panels, shares.items(), strict=True):
        values = [100 * own.get(choice, 0.0) for choice in choices]
        bars = axes.barh(range(len(choices)), values, color=FRONT, height=0.62)
        axes.bar_label(bars, labels=[f"{value:.0f} %" if value >= 0.5 else "" for value in values], fontsize=8, padding=2)
        axes.set_xlim(0, max(values) * 1.15)
        axes.set_title(objective, fontsize=9.5, loc="left")
        axes.set_xlabel("share of its variance, in %", fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right", "left"]].set_visible(False)
    panels[0].set_yticks(range(len(choices)), choices, fontsize=8.5)
    panels[0].invert_yaxis()
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    return figure


def ranked(shares: Mapping[str, Mapping[str, float]], count: int = SHOWN) -> list[str]:
    """Returns the choices that explain most of any objective, the most first."""
    most: dict[str, float] = {}
    for own in shares.values():
        for choice, share in own.items():
            most[choice] = max(most.get(choice, 0.0), share)
    return sorted(most, key=lambda choice: -most[choice])[:count]
