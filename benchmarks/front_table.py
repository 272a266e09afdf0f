"""The comparison as a Markdown table and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import SCHEMA_1
from frdiff_tune.search.choice import CLOSE

FAMILIES = {
    "fewer steps": ("#999999", "o", "fewer steps, every solver"),
    "FRDiff": ("#E69F00", "s", "FRDiff, uniform"),
    "jump": ("#0072B2", "^", "jumps at a fixed interval"),
    SCHEMA_1: ("#009E73", "X", "weights by formulas (schema 1)"),
    "starting": ("#56B4E9", "D", "ours: starting points on the front"),
    "found": ("#D55E00", "*", "ours: found by the search"),
}
"""Colour (Okabe and Ito's palette), marker and label."""
MODELS = {"demo": "text to image, UNet", "demo-dit": "class to image, DiT"}


def table(result: dict[str, Any]) -> str:
    """Returns what one study shows, in Markdown, with the table of every policy folded up."""
    rows, figures = result["rows"], result["figures"]
    reference, machine = result["reference"], result["machine"]
    lines = [
        f"#### `{result['study']}` after {result['trials']} trials: {result['pictures']} held-out pictures, "
        f"{reference['steps']} steps = {reference['latency_ms']:.0f} ms ({machine['cpu'] or machine['device']})",
        "",
        *_claims(figures, {row["family"] for row in rows}),
        "",
        f"![Time against LPIPS, every policy](results/front-{result['study']}.png)",
        "",
        f"<details><summary>All {len(rows)} policies</summary>",
        "",
        "| policy | network calls | time, share of reference | LPIPS, mean | median |",
        "|---|---|---|---|---|",
    ]
    fewer = [row for row in rows if row["family"] == "fewer steps"]
    for group in sorted({row["group"] for row in fewer}):
        for row in sorted((row for row in fewer if row["group"] == group), key=lambda row: -row["nfe"]):
            lines.append(_line(f"fewer steps: {group}", row))
    labels = {"FRDiff": "FRDiff", "jump": "jumps", SCHEMA_1: SCHEMA_1, "starting": "ours, starting point", "found": "ours"}
    for family, label in labels.items():
        for row in sorted((row for row in rows if row["family"] == family), key=lambda row: -row["latency_share"]):
            lines.append(_line(f"{label}: {row['name']}", row))
    return "\n".join([*lines, "", "</details>", ""])


def summary(results: Sequence[dict[str, Any]]) -> str:
    """Returns how much faster than fewer steps each study's front is at each level, as a Markdown table."""
    lines = [
        "| study | model | at | fewer steps, by their best solver there | ours, times faster than that (95 % interval) |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        for key, gain in result["figures"].items():
            which = key.removeprefix("gain_at_")
            if which == key:
                continue
            best = result["figures"][f"best_fewer_steps_at_{which}"]
            reached = gain["value"] is not None and best is not None
            known = f"{best[1].replace('Scheduler', '')}, {best[0]:.3f} of the reference's time" if best else "not reached"
            ours = f"**{gain['value']:.2f}** {_interval(gain).replace('95 % interval ', '')}" if reached else "not reached"
            model = MODELS.get(result["study"], result["study"])
            lines.append(f"| `{result['study']}` | {model} | {_level(which)} | {known} | {ours} |")
    names = [result["study"] for result in results]
    return "\n".join([*lines, "", *(f"![{name}: time against LPIPS](benchmarks/results/front-{name}.png)\n" for name in names)])


def _level(which: str) -> str:
    return which.replace("median_lpips_", "median LPIPS ").replace("lpips_", "mean LPIPS ")


def _line(name: str, row: dict[str, Any]) -> str:
    share, middle = row["latency_share"], median(row["lpips"])
    return f"| {name} | {row['nfe']} | {share:.3f} | {row['lpips_mean']:.5f} | {middle:.5f} |"


def _claims(figures: dict[str, Any], families: set[str]) -> list[str]:
    """Returns what follows from the rows, a sentence each."""
    claims = []
    for key, gain in figures.items():
        if key.startswith("gain_at_"):
            which = key.removeprefix("gain_at_")
            best = figures[f"best_fewer_steps_at_{which}"]
            named = which.replace("median_lpips_", "a median LPIPS of ").replace("lpips_", "LPIPS ")
            if gain["value"] is None or best is None:
                claims.append(f"- At {named}: one of the two fronts does not reach it.")
                continue
            claims.append(
                f"- At {named} our fastest policy is **{gain['value']:.2f} times** faster {_interval(gain)} than fewer "
                f"steps by their best solver there ({best[1]}, {best[0]:.3f} of the reference's time)."
            )
    for key, gain in figures.items():
        if key.startswith("over_schema_1") and gain["value"] is not None:
            level = key.removeprefix("over_schema_1_at_lpips_")
            claims.append(
                f"- At LPIPS {level} our fastest policy is **{gain['value']:.2f} times** faster {_interval(gain)} than the "
                f"fastest policy of schema 1, whose time was recorded on another machine."
            )
    for key, label in (
        ("hypervolume_ours_minus_known", "Hypervolume of our trials minus that of all known policies together"),
        ("hypervolume_found_minus_known", "The same without our starting points: only what the search proposed"),
        ("hypervolume_found_minus_starting", "What the search proposed minus our starting points"),
    ):
        compared = "starting" in families or not key.endswith("starting")
        if figures[key]["value"] is not None and compared:
            claims.append(f"- {label}: {figures[key]['value']:+.3f} {_interval(figures[key])}.")
    return claims


def _interval(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return "(no interval: in many draws of the pictures one front does not get there)"
    return f"(95 % interval {estimate['low']:.3g} to {estimate['high']:.3g})"


def figure(result: dict[str, Any], path: Path) -> None:
    """Draws LPIPS over time, one mark per policy, and saves it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(figsize=(8.5, 5.2), layout="constrained")
    for family, (colour, marker, label) in FAMILIES.items():
        rows = [row for row in result["rows"] if row["family"] == family]
        if not rows:
            continue
        size = 110 if marker == "*" else 34
        axes.scatter(
            [row["latency_ms"] for row in rows], [max(row["lpips_mean"], CLOSE) for row in rows],
            c=colour, marker=marker, s=size, label=f"{label} ({len(rows)})", linewidths=0.4, edgecolors="white", zorder=3,
        )  # fmt: skip
    _steps(axes, [row for row in result["rows"] if row["family"] == "fewer steps"])
    reference = result["reference"]
    axes.axvline(reference["latency_ms"], color="black", lw=0.8, ls=":")
    axes.annotate(
        f"reference, {reference['steps']} steps", (reference["latency_ms"], CLOSE), rotation=90, fontsize=8,
        xytext=(-11, 6), textcoords="offset points",
    )  # fmt: skip
    axes.set(yscale="log", xlim=(0, None), xlabel="time of one picture, ms (whole pipeline call)")
    axes.set_ylabel(f"mean LPIPS against the reference\n(AlexNet; lower is closer; below {CLOSE:g}: at {CLOSE:g})")
    axes.set_title(f"{result['study']}: {result['pictures']} held-out pictures", loc="left", fontsize=11)
    axes.grid(alpha=0.25, which="both", lw=0.5)
    axes.legend(fontsize=8, frameon=True)
    canvas.savefig(path, dpi=150)
    plt.close(canvas)


def _steps(axes: Any, rows: Sequence[dict[str, Any]]) -> None:  # noqa: ANN401
    """Joins each solver's step counts by a line."""
    for group in {row["group"] for row in rows}:
        line = sorted((row for row in rows if row["group"] == group), key=lambda row: row["steps"])
        axes.plot(
            [row["latency_ms"] for row in line], [max(row["lpips_mean"], CLOSE) for row in line], c="#bbbbbb", lw=0.7, zorder=1
        )


def replace_block(path: Path, name: str, text: str) -> None:
    """Puts text between the markers ``<!-- name:begin -->`` and ``<!-- name:end -->`` of a file."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{path} must hold {begin} and {end}"
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
