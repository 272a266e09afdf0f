"""The runtime's figures as a Markdown table."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

COLUMNS = ("network", "launched", "policy", "speed-up", "allowed", "share that arrives", "whole call", "cache, MiB")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a line per policy, and under it what the full policy costs (or gains, with graphs) and which share arrives.

    Arguments:
        rows: As ``benchmarks.runtime`` writes them.
    """
    lines = [HEAD, *(_line(row) for row in rows if "ratio" in row)]
    ratios, overheads = _values(rows, "ratio"), [100 * share for share in _values(rows, "overhead")]
    if ratios:
        lines += ["", f"Of the speed-up that site timings allow, {_range(ratios, 3)} arrives."]
    if overheads:
        lines.append(f"The full policy costs {_range(overheads, 1)} % over the bare pipeline.")
    if gains := _values(rows, "speedup_over_bare"):
        lines.append(f"With graphs the full policy is {_range(gains, 2)} times as fast as the bare pipeline.")
    return "\n".join(lines)


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name]["value"] for row in rows if name in row]


def _range(values: Sequence[float], digits: int) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f} (median {median(values):.{digits}f})"


def _line(row: Mapping[str, Any]) -> str:
    cells = [row["model"], row["mode"], row["policy"]]
    cells += [_spread(row[name]) for name in ("speedup", "allowed", "ratio", "call_speedup")]
    return f"| {' | '.join(cells)} | {row['cache_mib']:.1f} |"


def _spread(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"
