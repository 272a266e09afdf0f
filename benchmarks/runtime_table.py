"""The runtime's figures as a Markdown table."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

COLUMNS = ("network", "launched", "policy", "speed-up", "allowed", "share that arrives", "whole call", "cache, MiB")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a line per policy, and under it what the full policy costs and which share arrives at the median.

    Arguments:
        rows: As ``benchmarks.runtime`` writes them.
    """
    lines = [HEAD, *(_line(row) for row in rows if "ratio" in row)]
    overheads = [row["overhead"]["value"] for row in rows if "overhead" in row]
    ratios = [row["ratio"]["value"] for row in rows if "ratio" in row]
    if overheads and ratios:
        lines += [
            "",
            f"The full policy costs {100 * min(overheads):.1f} to {100 * max(overheads):.1f} % over the bare pipeline (median "
            f"{100 * median(overheads):.1f} %); of the speed-up that site timings allow, {min(ratios):.3f} to "
            f"{max(ratios):.3f} arrives (median {median(ratios):.3f}).",
        ]
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    cells = [row["model"], row["mode"], row["policy"]]
    cells += [_spread(row[name]) for name in ("speedup", "allowed", "ratio", "call_speedup")]
    return f"| {' | '.join(cells)} | {row['cache_mib']:.1f} |"


def _spread(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"
