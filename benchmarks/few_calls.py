"""LPIPS at few network calls: fewer steps, timestep lists, caches and forecasts, each tuned on search cases.

    python -m benchmarks.few_calls demo demo-dit --readme

At every number of network calls a method offers settings; the search cases choose one: all settings draw sixteen of them, the
three closest on average draw 32. What is stated is measured on held-out pictures that no choice has seen, LPIPS against the
reference of the same seed, with 95 % intervals over pictures. Network calls are the axis: nothing is timed, and a step that
computes a part of the network counts what its method says.

Raw values are kept under runs/, so that a run that was stopped goes on, and the result is written after every row. Rows of an
earlier result on as many pictures stay where they are not measured anew, so ``--methods`` may measure some of them, and rows
outlive the code of their method. With ``--pictures`` fewer pictures are drawn, for a look; the result then stays under runs/.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.bench import QUALITY_BATCH, RAW, CaseBench
from benchmarks.few_calls_table import figure, summary, table
from benchmarks.front_table import replace_block
from benchmarks.methods import METHODS, Method, Sampler, SamplerPainter, Setting, tables, tuning_cases
from benchmarks.record import RESULTS, heading, save
from frdiff_tune.measure import Lpips, bootstrap, share
from frdiff_tune.search.setting import held_out_cases, open_pipeline
from frdiff_tune.search.study import Study, load_study

CALLS = (4, 5, 6, 8, 10, 12, 16)
"""Network calls of a picture, or equivalents."""
SEEDS = 3
"""Seeds per held-out prompt, as in the fronts."""
ROUNDS = ((1, 3), (2, 1))
"""Blocks of sixteen search cases that settings draw, and how many are left then."""

Row = dict[str, Any]


def distances(bench: CaseBench, setting: Setting, parts: int | None = None) -> tuple[float, ...]:
    """Returns a setting's LPIPS per picture, of the first ``parts`` blocks or of all."""
    if isinstance(setting, Sampler):
        return bench.distances_by(SamplerPainter(bench.bench, setting), setting.digest, parts)
    return bench.distances(setting, parts)


def choose(bench: CaseBench, settings: Mapping[str, Setting]) -> dict[str, float]:
    """Returns the mean LPIPS of settings on search cases, the chosen one's first.

    Arguments:
        bench: Of the search cases.
        settings: Label -> setting, at least one.
    """
    rivals, lpips = list(settings), dict[str, float]()
    for parts, count in ROUNDS:
        if len(rivals) > count or count == 1:  # the last round says what the chosen one reaches
            means = {label: fmean(distances(bench, settings[label], parts)) for label in rivals}
            rivals = sorted(rivals, key=lambda label: means[label])[:count]
            lpips |= means
    return {label: lpips[label] for label in (*rivals, *sorted(lpips))}


def row(method: Method, calls: int, searched: Mapping[str, float], setting: Setting, lpips: Sequence[float]) -> Row:
    """Returns a method's row at a number of calls, as JSON values.

    Arguments:
        method: The method.
        calls: Network calls, or equivalents.
        searched: Label of every setting -> its mean LPIPS on search cases, the chosen one's first.
        setting: The chosen one.
        lpips: Its LPIPS per held-out picture.
    """
    return {
        "family": method.family,
        "method": method.name,
        "calls": calls,
        "equivalents": method.equivalents(setting),
        "setting": next(iter(searched)),
        "searched": dict(searched),
        "lpips_mean": asdict(bootstrap(lpips)),
        "lpips_median": asdict(bootstrap(lpips, "median")),
        "flips": asdict(share(sum(value > Lpips.flip for value in lpips), len(lpips))),
        "tables": dict(tables(setting)),
        "lpips": [round(value, 6) for value in lpips],
    }


def rows(
    study: Study, searched: CaseBench, held_out: CaseBench, methods: Sequence[str], counts: Sequence[int]
) -> Iterator[Row]:
    """Yields a row per method and number of calls, as it is measured.

    Arguments:
        study: The study.
        searched: Measures on search cases.
        held_out: Measures on held-out cases.
        methods: Names of ``METHODS``.
        counts: Numbers of calls.
    """
    pipe = held_out.pipe
    for name in methods:
        for calls in counts:
            settings = dict(METHODS[name].policies(pipe, study, calls))
            if not settings:
                print(f"{study.name}  {name} {calls}: has no setting", flush=True)
                continue
            means = choose(searched, settings)
            searched.close()  # one bench at a time has its policies on
            chosen = settings[next(iter(means))]
            result = row(METHODS[name], calls, means, chosen, distances(held_out, chosen))
            held_out.close()
            mean, median = result["lpips_mean"]["value"], result["lpips_median"]["value"]
            print(f"{study.name}  {name} {calls}: {result['setting']}  {mean:.5f} / {median:.5f}", flush=True)
            yield result


def merged(rows: Sequence[Row], before: Sequence[Row]) -> list[Row]:
    """Returns the rows, and those of an earlier result that are not among them; in the order of ``METHODS``, others last."""
    by_setting = {(row["method"], row["calls"]): row for row in [*before, *rows]}
    order = {name: place for place, name in enumerate(METHODS)}
    return sorted(by_setting.values(), key=lambda row: (order.get(row["method"], len(order)), row["calls"]))


def absent(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Returns what has no row: method -> numbers of calls; one that cannot run on the pipeline stays there."""
    measured = {(row["method"], row["calls"]) for row in rows}
    missing = {name: [calls for calls in CALLS if (name, calls) not in measured] for name in METHODS}
    return {name: counts for name, counts in missing.items() if counts}


def earlier(file: Path, pictures: int) -> list[Row]:
    """Returns the rows of an earlier result; none where there is none, or it is on another number of pictures."""
    result = json.loads(file.read_text()) if file.is_file() else {}
    return list(result["rows"]) if result.get("pictures") == pictures else []


def measure(study: Study, methods: Sequence[str], counts: Sequence[int], seeds: int, pictures: int | None) -> dict[str, Any]:
    """Measures some rows of a study and writes the result after each; returns it.

    Arguments:
        study: The study.
        methods: Names of ``METHODS``.
        counts: Numbers of calls.
        seeds: Seeds per held-out prompt.
        pictures: Held-out pictures, for a look; None: all.
    """
    pipe = open_pipeline(study)
    cases = held_out_cases(study, pipe, seeds)[:pictures]
    folder = RESULTS if pictures is None else RAW
    file = folder / f"few-calls-{study.name}.json"
    with (
        closing(CaseBench(study, pipe, tuning_cases(study, pipe)[: QUALITY_BATCH * ROUNDS[-1][0]])) as searched,
        closing(CaseBench(study, pipe, cases)) as held_out,
    ):
        command = f"python -m benchmarks.few_calls {study.name} --seeds {seeds}"
        head = heading(study, pipe, command, len(cases))
        head |= {"reference_steps": held_out.steps, "search_rounds": [list(each) for each in ROUNDS], "flip": Lpips.flip}
        measured = list[Row]()
        for result in rows(study, searched, held_out, methods, counts):
            measured.append(result)
            save(_whole(head, merged(measured, earlier(file, len(cases)))), file.stem, folder)
    result = _whole(head, merged(measured, earlier(file, len(cases))))
    figure(result, save(result, file.stem, folder).with_suffix(".png"))
    return result


def _whole(head: Mapping[str, Any], every: list[Row]) -> dict[str, Any]:
    return {**head, "absent": absent(every), "rows": every}


def main() -> None:
    """Measures the studies that are named; writes JSON, figure and table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds per held-out prompt")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS), help="none: only write what is known")
    parser.add_argument("--calls", nargs="+", type=int, default=list(CALLS), help="numbers of network calls, 16 at most")
    parser.add_argument("--pictures", type=int, help="held-out pictures, for a look")
    parser.add_argument("--readme", action="store_true", help="put the tables into the two README.md")
    given = parser.parse_args()
    results = [measure(load_study(name), given.methods, given.calls, given.seeds, given.pictures) for name in given.studies]
    print("\n".join(map(table, results)))
    if given.readme:
        replace_block(Path("README.md"), "few-calls", summary(results))
        replace_block(Path("benchmarks/README.md"), "few-calls", "\n".join(map(table, results)))


if __name__ == "__main__":
    main()
