"""LPIPS at few network calls, as Markdown tables and as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STYLES = {
    "fewer steps": ("#999999", "o"),
    "Align Your Steps": ("#56B4E9", "s"),
    "OptimalSteps": ("#0072B2", "^"),
    "BudCache's annealing": ("#CC79A7", "v"),
    "Spectrum": ("#E69F00", "P"),
    "fitted weights, schema 1": ("#009E73", "X"),
}
"""Family -> colour (Okabe and Ito's palette) and marker."""
OTHER = ("#D55E00", "*")
"""Of families that are not listed."""
LEGEND = (
    "Mean LPIPS / median / share of pictures above {flip:g}; **bold**: the lowest mean at that number of calls. Of a family of "
    "several methods the closest there is shown, picked on these pictures."
)

Row = Mapping[str, Any]


def bests(rows: Sequence[Row]) -> dict[str, dict[int, Row]]:
    """Returns the row of lowest mean of every family at every number of calls: family -> calls -> row."""
    lines: dict[str, dict[int, Row]] = {}
    for row in rows:
        line = lines.setdefault(row["family"], {})
        if row["calls"] not in line or _mean(row) < _mean(line[row["calls"]]):
            line[row["calls"]] = row
    return {family: dict(sorted(line.items())) for family, line in lines.items()}


def _mean(row: Row) -> float:
    return float(row["lpips_mean"]["value"])


def summary(results: Sequence[Mapping[str, Any]]) -> str:
    """Returns what each family reaches, as a Markdown table per study."""
    parts = []
    for result in results:
        lines, counts = bests(result["rows"]), sorted({row["calls"] for row in result["rows"]})
        lowest = {n: min((_mean(line[n]) for line in lines.values() if n in line), default=0.0) for n in counts}
        table = [
            f"| `{result['study']}` | " + " | ".join(f"{n} calls" for n in counts) + " |",
            "|---" * (len(counts) + 1) + "|",
        ]
        for family, line in lines.items():
            cells = (_short(line[n], lowest[n]) if n in line else "" for n in counts)
            table.append(f"| {family} | " + " | ".join(cells) + " |")
        parts += [*table, "", f"![{result['study']}: LPIPS over network calls]({_picture(result, 'benchmarks/')})", ""]
    return "\n".join([*parts, LEGEND.format(flip=results[0]["flip"]), ""])


def _short(row: Row, lowest: float) -> str:
    bold = "**" if _mean(row) == lowest else ""
    return f"{bold}{_mean(row):.4f}{bold} / {row['lpips_median']['value']:.4f} / {row['flips']['value']:.2f}"


def _picture(result: Mapping[str, Any], folder: str = "") -> str:
    return f"{folder}results/few-calls-{result['study']}.png"


def table(result: Mapping[str, Any]) -> str:
    """Returns every row of a study with its intervals, in Markdown."""
    searched = max((len(row["searched"]) for row in result["rows"]), default=0)
    lines = [
        f"#### `{result['study']}`: {result['pictures']} held-out pictures against {result['reference_steps']} steps",
        "",
        f"![LPIPS over network calls]({_picture(result)})",
        "",
        f"<details><summary>Every method, with 95 % intervals; settings (of up to {searched}) chosen on search cases</summary>",
        "",
        f"| method | calls | setting | LPIPS, mean | median | above {result['flip']:g} |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        calls = f"{row['calls']}" if row["equivalents"] == row["calls"] else f"{row['calls']} ({row['equivalents']:.2f})"
        cells = [row["method"], calls, row["setting"], *(_bracketed(row[key], 5) for key in ("lpips_mean", "lpips_median"))]
        lines.append("| " + " | ".join([*cells, _bracketed(row["flips"], 2)]) + " |")
    absent = [f"{name} at {', '.join(map(str, counts))}" for name, counts in result["absent"].items()]
    left = [f"Not in the table, in calls: {'; '.join(absent)}.", ""] if absent else []
    return "\n".join([*lines, "", *left, "</details>", ""])


def _bracketed(figure: Mapping[str, float], digits: int) -> str:
    return f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def figure(result: Mapping[str, Any], path: Path) -> None:
    """Draws mean and median LPIPS over network calls, a line per family."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    canvas, panels = plt.subplots(1, 2, figsize=(11.0, 4.8), sharex=True, layout="constrained")
    lines, counts = bests(result["rows"]), sorted({row["calls"] for row in result["rows"]})
    for axes, key, title in zip(panels, ("lpips_mean", "lpips_median"), ("mean", "median"), strict=True):
        for i, (family, line) in enumerate(lines.items()):
            colour, marker = STYLES.get(family, OTHER)
            points = [line[n][key] for n in line]
            x = [row["equivalents"] * (1 + 0.006 * (i - len(lines) / 2)) for row in line.values()]  # bars side by side
            spread = [[p["value"] - p["low"] for p in points], [p["high"] - p["value"] for p in points]]
            style = {"color": colour, "marker": marker, "ms": 6, "lw": 1.6, "elinewidth": 0.8, "capsize": 2}
            axes.errorbar(x, [p["value"] for p in points], yerr=spread, label=family, **style)
        axes.set(xscale="log", yscale="log", xlabel="network calls of a picture", ylabel=f"{title} LPIPS (lower is closer)")
        axes.set_xticks(counts, [str(n) for n in counts])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.25, lw=0.5, which="both")
        axes.set_title(f"{title}, 95 % intervals over pictures", fontsize=10)
    panels[0].legend(fontsize=8, frameon=True)
    canvas.suptitle(
        f"{result['study']}: against {result['reference_steps']} steps, {result['pictures']} held-out pictures, the closest "
        "method of each family", fontsize=11,
    )  # fmt: skip
    canvas.savefig(path, dpi=140)
    plt.close(canvas)
