"""The comparison of searches as a Markdown table and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

STYLES = {
    "ours": ("#D55E00", "-"),
    "ours, no foresight, no racing": ("#D55E00", ":"),
    "NSGA-II, as ECAD": ("#0072B2", "-"),
    "GP": ("#009E73", "-"),
    "TPE": ("#56B4E9", "-"),
    "random": ("#999999", "-"),
    "BudCache's annealing": ("#CC79A7", "--"),
    "dynamic programming": ("#E69F00", "--"),
    "FRDiff's uniform grid": ("#000000", "--"),
    "fewer steps": ("#999999", "--"),
}
"""Colour (Okabe and Ito's palette) and line of what the figure shows; the table has all."""


EXPLAINED = """Measuring a policy takes a while on a large model, so what counts is how few measurements lead to a good front.
Of both embedded models a small space was measured as a whole (keyframe shapes, step counts, solvers, forecasts, groups,
`lam`: `benchmarks/tables/`), and on these tables searches are compared by counting: `{command}`. *To 95 %*: how many policies
were measured until the front so far had 95 % of the hypervolume of the whole table, (log10 LPIPS, latency) from the corner
(0.05, 1). Starting points count, and recorded full runs count as one. Measured seconds are what the recorded measurements
took; a trial that is stopped early costs less of them. The latency is that of all policies that make the same network calls.
Medians of {seeds} seeds, and quartiles in brackets; who gets there in no more than half of the seeds has not reached it.
Searches whose proposals take long end after 400 policies (GP: after 40); NSGA-II and NSGA-III, which come to repeat
themselves, also when they have proposed as often as the table has policies.

Read our row as optimistic: what foresight expects before anything is measured was fitted to these two tables (`python -m
benchmarks.priors demo demo-dit`), and how surely it expects that was chosen among some dozens of settings by searches of
them. The row *fitted to the other table* is closer to what another model would see: there it expects what the other model's
table alone has taught. No third model has been recorded to check it on.
"""
"""What stands above the tables."""


def markdown(result: dict[str, Any]) -> str:
    """Returns the table in Markdown."""
    count = result["policies"]
    lines = [
        f"#### `{result['study']}`: {count} policies, of which every one was measured",
        "",
        "| search | evaluations to 95 % | to 99 % | measured seconds to 95 % | to 99 % |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        cells = [_cell(row, kind, level, count) for kind in ("evaluations", "seconds") for level in ("95", "99")]
        lines.append(f"| {row['search']} | " + " | ".join(cells) + " |")
    picture = f"![Share of the hypervolume over measured policies](results/search-{result['study']}.png)"
    return "\n".join([*lines, "", picture, ""])


SHORT = ("ours", "ours, fitted to the other table", "TPE", "NSGA-II, as ECAD", "random", "fewer steps")
"""What the short table shows."""


def summary(results: Sequence[dict[str, Any]]) -> str:
    """Returns how many policies some searches measure until they have 95 % of a table's hypervolume, as a Markdown table."""
    lines = ["| search | " + " | ".join(f"`{result['study']}`" for result in results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in SHORT:
        rows = [next(row for row in result["rows"] if row["search"] == name) for result in results]
        cells = [_cell(row, "evaluations", "95", result["policies"]) for row, result in zip(rows, results, strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(row: dict[str, Any], kind: str, level: str, count: int) -> str:
    """Returns a median with its quartiles; where no more than half of the seeds get there, that they do not."""
    low, middle, high = row[f"{kind}_{level}"]
    if row[f"reached_{level}"] * 2 <= row["seeds"]:
        return f"not within {len(row['curve'])}" if len(row["curve"]) < min(count, 80) else "not reached"
    return f"{middle:.0f}" if low == high else f"{middle:.0f} ({low:.0f} to {high:.0f})"


def figure(result: dict[str, Any], path: Path) -> None:
    """Draws the share of the hypervolume over evaluations: medians, and quartiles as a band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made, axes = pyplot.subplots(figsize=(7.5, 4.8), layout="constrained")
    for row in result["rows"]:
        if row["search"] in STYLES:
            colour, line = STYLES[row["search"]]
            low, middle, high = zip(*row["curve"], strict=True)
            x = range(1, len(middle) + 1)
            axes.plot(x, middle, line, color=colour, label=row["search"], linewidth=2.2 if row["search"] == "ours" else 1.4)
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    for level in (0.95, 0.99):
        axes.axhline(level, color="#cccccc", linewidth=0.8, zorder=0)
        axes.text(1, level, f"{100 * level:.0f} %", fontsize=7, color="#666666", va="bottom")
    axes.set(xscale="log", xlabel="policies measured", ylabel="share of the table's hypervolume", ylim=(0, 1.02))
    seeds = max(row["seeds"] for row in result["rows"])
    title = f"{result['study']}: searches of {result['policies']} recorded policies, medians of {seeds} seeds"
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
    made.savefig(path, dpi=130)
    pyplot.close(made)
