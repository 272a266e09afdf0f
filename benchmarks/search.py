"""Searches compared on recorded tables: how many evaluations, and how many measured seconds, to how much of the front.

Every search is restricted to the table: a finite space of which every policy was measured. What counts is hypervolume in (log10
LPIPS, latency over the reference's) from the corner (0.05, 1), as a share of the whole table's. Starting points count as
evaluations, and the full runs that foresight reads as one more. A search that never gets there counts as the whole table. A
seed is a day: the cases come in another order, and each latency is drawn anew from the recorded pairs.

Run it from the repository's root, after tables are recorded:

    python -m benchmarks.search demo demo-dit --seeds 20 --readme

Nothing is timed: seconds are what the recorded measurements took.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from benchmarks.front_table import replace_block
from benchmarks.ground import Ground, Trace
from benchmarks.record import RESULTS, save
from benchmarks.search_figure import EXPLAINED, figure, markdown, summary
from benchmarks.searches import METHODS, ground_of, search

LEVELS = (0.95, 0.99)
CURVE = 400
"""Evaluations of the curves that are kept."""


def measure(name: str, methods: Sequence[str], seeds: int, jobs: int) -> Iterator[dict[str, Any]]:
    """Yields a row per search.

    Arguments:
        name: ``demo`` or ``demo-dit``.
        methods: Names of ``METHODS``.
        seeds: Seeds of each.
        jobs: Processes.
    """
    ground = ground_of(name)
    whole = len(ground.table.rows), _all_seconds(ground)
    with Parallel(n_jobs=jobs) as parallel:
        for method in methods:
            begun = time.monotonic()
            traces: list[Trace] = parallel(delayed(search)(name, method, seed) for seed in range(seeds))
            row = {"search": method, "seeds": seeds, **_costs(traces, whole), "curve": _curve(traces)}
            print(name, {key: value for key, value in row.items() if key != "curve"}, f"{time.monotonic() - begun:.0f} s")
            yield row


def _all_seconds(ground: Ground) -> float:
    """Returns how long it takes to measure the whole table, in seconds."""
    table = ground.table
    times = [sum(row.ratios) / len(row.ratios) * len(row.lpips) + sum(row.ratios) + len(row.ratios) for row in table.rows]
    return sum(times) * table.anchor_ms / 1000


def _costs(traces: Sequence[Trace], whole: tuple[int, float]) -> dict[str, Any]:
    """Returns quartiles of the evaluations and seconds to every level."""
    found: dict[str, Any] = {}
    for level in LEVELS:
        places = [next((i for i, share in enumerate(trace.shares) if share >= level), None) for trace in traces]
        evaluations = [whole[0] if place is None else place + 1 for place in places]
        pairs = zip(traces, places, strict=True)
        seconds = [whole[1] if place is None else trace.seconds[place] for trace, place in pairs]
        key = f"{100 * level:.0f}"
        found[f"evaluations_{key}"] = np.quantile(evaluations, (0.25, 0.5, 0.75)).tolist()
        found[f"seconds_{key}"] = np.round(np.quantile(seconds, (0.25, 0.5, 0.75)), 1).tolist()
        found[f"reached_{key}"] = sum(place is not None for place in places)
    found["stopped_share"] = round(float(np.mean([trace.stopped / max(len(trace.shares), 1) for trace in traces])), 3)
    return found


def _curve(traces: Sequence[Trace]) -> list[list[float]]:
    """Returns quartiles of the share after 1, 2, ... evaluations; a search that ended keeps what it had."""
    most = min(max(len(trace.shares) for trace in traces), CURVE)
    padded = [[*trace.shares[:most], *[trace.shares[-1]] * (most - len(trace.shares))] for trace in traces]
    return [[round(float(each), 4) for each in quartiles] for quartiles in np.quantile(padded, (0.25, 0.5, 0.75), axis=0).T]


def earlier(head: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """Returns the rows of an earlier run on the same table; none where there was no run, or the table was another one.

    Arguments:
        head: What the result begins with.
        file: Where the earlier one is.
    """
    if not file.is_file():
        return []
    result = json.loads(file.read_text())
    same = all(result.get(key) == head[key] for key in ("policies", "volume", "seconds_of_all"))
    return list(result["rows"]) if same else []


def merged(rows: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows, and those of an earlier run whose search is not among them, in the order of ``METHODS``."""
    known = {row["search"]: row for row in [*before, *rows]}
    return [known[name] for name in METHODS if name in known]


def main() -> None:
    """Searches the tables that the command line names; writes JSON, a figure and a table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="demo, demo-dit")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="put the tables into the two README.md")
    given = parser.parse_args()
    results = []
    for name in given.tables:
        table = ground_of(name).table
        head = {
            "study": name,
            "command": f"python -m benchmarks.search {name} --seeds {given.seeds}",
            "machine": dict(table.machine),
            "policies": len(table.rows),
            "volume": round(ground_of(name).volume, 4),
            "seconds_of_all": round(_all_seconds(ground_of(name)), 1),
        }
        file = given.output / f"search-{name}.json"
        for row in measure(name, given.methods, given.seeds, given.jobs):
            result = {**head, "rows": merged([row], earlier(head, file))}
            save(result, file.stem, given.output)
        figure(result, file.with_suffix(".png"))
        results.append(result)
        print(markdown(result), file, sep="\n")
    if given.readme:
        command = f"python -m benchmarks.search {' '.join(given.tables)} --seeds {given.seeds} --readme"
        above = EXPLAINED.format(command=command, seeds=given.seeds)
        replace_block(Path("README.md"), "search", summary(results))
        replace_block(Path("benchmarks/README.md"), "search", "\n".join([above, *map(markdown, results)]))


if __name__ == "__main__":
    main()
