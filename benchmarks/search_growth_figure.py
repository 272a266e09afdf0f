"""Hypervolume over minutes and network calls, as a figure and as a Markdown table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

COLOURS = {"auto": "#D55E00", "tpe": "#0072B2", "gp": "#009E73", "nsga2": "#CC79A7", "random": "#999999"}
"""Sampler -> colour (Okabe and Ito's palette)."""
NAMES = {"auto": "ours", "tpe": "TPE", "gp": "GP", "nsga2": "NSGA-II", "random": "random"}

Row = Mapping[str, Any]


def table(result: Mapping[str, Any], level: float, early: float) -> str:
    """Returns what each sampler's runs held, in Markdown, medians over seeds.

    Arguments:
        result: What ``benchmarks.search_growth`` has written.
        level: Share of our hypervolume at the end that counts as reached.
        early: Minutes after which a run is looked at.
    """
    share = f"{100 * level:.0f} %"
    lines = [
        f"| `{result['study']}` | runs | hypervolume after {early:g} min | at the end | "
        f"thousands of network calls until {share} of ours at the end |",
        "|---|---|---|---|---|",
    ]
    for sampler, rows in by_sampler(result["rows"]).items():
        after = median(_held(row, early) for row in rows)
        end, minutes = median(_held(row) for row in rows), median(row["minutes"] for row in rows)
        calls = result["figures"].get(f"calls_until_{level}_{sampler}", {"median": None, "never": 0})
        until = "" if calls["median"] is None else f"{calls['median'] / 1000:.1f}"
        until += f" ({calls['never']} never)" if calls["never"] else ""
        lines.append(f"| {NAMES.get(sampler, sampler)} | {len(rows)} | {after:.3f} | {end:.3f} ({minutes:g} min) | {until} |")
    return "\n".join([*lines, "", f"![Hypervolume over time and calls](results/search-growth-{result['study']}.png)", ""])


def by_sampler(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows of every sampler, in the order in which samplers come."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["sampler"], []).append(row)
    return groups


def _held(row: Row, minutes: float = float("inf")) -> float:
    return max((volume for seconds, _, volume in row["trace"] if seconds <= 60 * minutes), default=0.0)


def figure(result: Mapping[str, Any], path: Path) -> None:
    """Draws a line per run and saves the figure."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(9.5, 4.0), dpi=150, layout="constrained")
    panels = canvas.subplots(1, 2, sharey=True)
    for sampler, rows in by_sampler(result["rows"]).items():
        for number, row in enumerate(rows):
            seconds, calls, volumes = zip(*row["trace"], strict=True)
            style = {"color": COLOURS.get(sampler, "black"), "drawstyle": "steps-post", "lw": 1.3, "alpha": 0.85}
            label = NAMES.get(sampler, sampler) if number == 0 else None
            panels[0].plot([0, *(second / 60 for second in seconds)], [0, *volumes], label=label, **style)
            panels[1].plot([0, *(count / 1000 for count in calls)], [0, *volumes], **style)
    panels[0].set(xlabel="minutes after the first trial began", ylabel="hypervolume\n(decades of LPIPS × share of the time)")
    panels[1].set(xlabel="network calls, thousands")
    for axes in panels:
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].legend(fontsize=8)
    title = f"{result['study']}: a line per run; {result['pictures']} search pictures, {result['machine']['cpu']}"
    canvas.suptitle(title, x=0.02, ha="left", fontsize=10)
    canvas.savefig(path)
