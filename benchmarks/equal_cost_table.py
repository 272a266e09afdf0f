"""What is reached at equal network cost, as a Markdown table and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

ORDERS: dict[int | None, tuple[str, str, str]] = {
    None: ("#555555", "o", "no forecast"),
    0: ("#0072B2", "s", "held (order 0)"),
    1: ("#E69F00", "^", "order 1"),
    2: ("#D55E00", "v", "order 2"),
}
"""Colour (Okabe and Ito's palette), marker and label."""
APART = 0.22
"""Distance of two orders of a kind in the figure, as a share of a line's height."""
SHORT = {"DDIMScheduler": "DDIM", "DPMSolverMultistepScheduler": "DPM-Solver++ 2M", "UniPCMultistepScheduler": "UniPC"}
LEGEND = (
    "**Bold**: the closest at that cost. *f*, *j*: mean surely below that of the best of fewer steps, of jumps. "
    "The last number: pictures that are closer than by the best of fewer steps."
)
LINES = {"fewer steps": ":", "jumps": "--"}
"""Family -> how the line through its best is drawn."""

Row = dict[str, Any]


def label(row: Row) -> str:
    """Returns a kind's name, without its order."""
    return f"{row['family']}: {SHORT.get(row['group'], row['group'])}"


def table(result: dict[str, Any]) -> str:
    """Returns what one study shows, in Markdown: mean LPIPS of every kind at every cost, and what is out of reach."""
    rows = result["rows"]
    targets = sorted({row["target"] for row in rows})
    reached = {label(row) for row in rows if "lpips" in row}
    kinds = list(dict.fromkeys((label(row), row["order"]) for row in rows if label(row) in reached))
    lines = [
        f"#### `{result['study']}`: mean LPIPS (95 % interval; median) on {result['pictures']} held-out pictures",
        "",
        "| kind | order | " + " | ".join(f"cost {target}" for target in targets) + " |",
        "|---|---|" + "---|" * len(targets),
    ]
    for name, order in kinds:
        found = {row["target"]: row for row in rows if (label(row), row["order"]) == (name, order)}
        cells = (_cell(found[target], rows) for target in targets)
        lines.append(f"| {name} | {'' if order is None else order} | " + " | ".join(cells) + " |")
    far = {label(row): row["least"] for row in rows if label(row) not in reached}
    never = ", ".join(f"{name.partition(': ')[2]} {least:.2f}" for name, least in far.items())
    return "\n".join([*lines, "", LEGEND, *([f"Out of reach at every cost (least cost): {never}."] if far else []), ""])


def _cell(row: Row, rows: Sequence[Row]) -> str:
    if "lpips" not in row:
        return f"from {row['least']:.2f}"
    mean, closer = row["lpips_mean"], row["closer_than_fewer_steps"]["pictures"]
    best = min(other["lpips_mean"]["value"] for other in rows if other["target"] == row["target"] and "lpips" in other)
    bold = "**" if mean["value"] == best else ""
    marks = [mark for mark, key in (("f", "fewer_steps"), ("j", "jumps")) if row[f"closer_than_{key}"]["surely"]]
    figures = f"{bold}{mean['value']:.5f}{bold} ({mean['low']:.5f} to {mean['high']:.5f}; {row['lpips_median']:.5f})"
    return " ".join([figures, *(f"*{mark}*" for mark in marks), f"{closer}/{len(row['lpips'])}"])


def figure(result: dict[str, Any], path: Path) -> None:
    """Draws a panel per cost: a line per kind, a mark per order, mean LPIPS with its interval, and the median."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    rows = [row for row in result["rows"] if "lpips" in row]
    targets, kinds = sorted({row["target"] for row in result["rows"]}), list(dict.fromkeys(map(label, rows)))
    size = (4.0 * len(targets) + 1.8, 0.42 * len(kinds) + 2.0)
    canvas, panels = plt.subplots(1, len(targets), figsize=size, sharex=True, sharey=True, layout="constrained")
    for target, axes in zip(targets, panels, strict=True):
        _panel(axes, [row for row in rows if row["target"] == target], kinds)
        axes.set_title(f"network cost {target:g} of the reference's", fontsize=10)
        reached = {label(row) for row in rows if row["target"] == target}
        for kind in kinds:
            if kind not in reached:
                place = {"transform": axes.get_yaxis_transform(), "va": "center", "ha": "center"}
                axes.text(0.5, kinds.index(kind), "out of reach", fontsize=8, c="gray", **place)
    panels[0].set_yticks(range(len(kinds)), kinds, fontsize=9)
    panels[0].invert_yaxis()
    handles = [Line2D([], [], color=c, marker=m, ls="", label=text) for c, m, text in ORDERS.values()]
    handles.append(Line2D([], [], color="#555555", marker="|", ms=9, mew=1.6, ls="", label="median"))
    handles += [Line2D([], [], color="gray", lw=0.8, ls=ls, label=f"best of {family}") for family, ls in LINES.items()]
    canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)
    canvas.suptitle(
        f"{result['study']}: mean LPIPS against the reference, {result['pictures']} held-out pictures, 95 % intervals "
        f"(lower is closer)", fontsize=11,
    )  # fmt: skip
    canvas.savefig(path, dpi=150)
    plt.close(canvas)


def _panel(axes: Any, rows: Sequence[Row], kinds: Sequence[str]) -> None:  # noqa: ANN401
    """Draws the rows of one cost."""
    for row in rows:
        mean, (colour, marker, _) = row["lpips_mean"], ORDERS[row["order"]]
        y = kinds.index(label(row)) + APART * ((row["order"] or 0) - 1) * (row["family"] in ("jumps", "features"))
        spread = [[mean["value"] - mean["low"]], [mean["high"] - mean["value"]]]
        axes.errorbar(mean["value"], y, xerr=spread, fmt=marker, ms=5, c=colour, elinewidth=1.2, capsize=2)
        axes.plot(row["lpips_median"], y, marker="|", ms=9, mew=1.6, c=colour)
    for family, line in LINES.items():
        best = min(row["lpips_mean"]["value"] for row in rows if row["family"] == family)
        axes.axvline(best, color="gray", lw=0.8, ls=line, zorder=0)
    axes.set(xscale="log")
    axes.grid(alpha=0.25, axis="x", which="both", lw=0.5)
