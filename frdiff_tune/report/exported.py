"""An exported policy: its figures in words, its pictures, and how to apply it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.gallery import row_names, save_side_by_side
from frdiff_tune.report.points import points_of
from frdiff_tune.report.policy_tables import floor_words, machine_line, measured_json
from frdiff_tune.report.summary import digits
from frdiff_tune.report.words import describe, solver

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from frdiff_tune.measure import Case
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.side_by_side import Pair
    from frdiff_tune.search import Export, Front, Study


def headline(policy: Policy) -> str:
    """Returns what was measured of an exported policy, in one sentence."""
    measured = policy.measured
    assert measured is not None, "an export is measured"
    mean = next(figure for figure in measured.quality if (figure.metric, figure.statistic) == ("lpips", "mean"))
    seen = "held-out pictures" if measured.held_out else "pictures"
    return (
        f"{measured.speedup:.2f}x faster than the reference (95 %: {measured.speedup_low:.2f} to "
        f"{measured.speedup_high:.2f}): {measured.latency.median_ms:,.0f} ms instead of "
        f"{measured.reference_latency.median_ms:,.0f} ms per call; mean LPIPS {digits(mean.value)} "
        f"({digits(mean.low)} to {digits(mean.high)}) on {measured.case_count} {seen}{floor_words(measured, mean)}."
    )


def finalists_table(export: Export, objectives: Sequence[str]) -> Table:
    """Returns what was measured again with fresh seeds before one was chosen, side by side, the fastest first.

    Arguments:
        export: The export.
        objectives: The study's; those of quality are shown.
    """
    from rich.table import Table

    ordered = sorted(export.finalists, key=lambda each: each.point.trial.latency_ms.value)
    quality = [name for name in dict.fromkeys(("lpips", *objectives)) if name in ordered[0].figures]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trial", "latency ms", "LPIPS in the search", *quality, *ordered[0].sets, ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in ordered:
        trial = each.point.trial
        cells = [str(trial.number), f"{trial.latency_ms.value:,.0f}", digits(trial.lpips.value)]
        cells += [f"{each.figures[name].value:.3g}" for name in quality] + [f"{value:.3g}" for value in each.sets.values()]
        table.add_row(*cells, "chosen" if trial.number == export.point.trial.number else "")
    return table


def export_json(export: Export, path: Path) -> dict[str, Any]:
    """Returns an export under keys that name their units."""
    policy, measured = export.policy, export.policy.measured
    assert measured is not None, "an export is measured"
    return {
        "path": str(path),
        "trial": export.point.trial.number,
        "description": describe(policy),
        "digest": policy.digest,
        "nfe": policy.nfe,
        "broken_limits": list(export.broken),
        "remarks": list(export.remarks),
        "finalists": [
            {
                "trial": each.point.trial.number,
                "latency_ms": each.point.trial.latency_ms.value,
                "quality": {name: asdict(figure) for name, figure in each.figures.items()},
                "sets": dict(each.sets),
            }
            for each in export.finalists
        ],
        **measured_json(measured),
    }


def study_title(study: Study, machine: str) -> str:
    """Returns what stands above a study's figure."""
    call = study.file.call
    return f"{study.name}: {study.file.model.source}, reference with {call.num_inference_steps} steps\n{machine}"


def front_of(study: Study, found: Front, *, chosen: int | None = None, machine: str = "") -> Figure:
    """Returns the front as a figure.

    Arguments:
        study: The study.
        found: What it has measured.
        chosen: Number of the trial to mark.
        machine: Where it was measured, for the title.
    """
    from frdiff_tune.report.front_figure import front_figure

    return front_figure(
        points_of(found),
        title=study_title(study, machine).rstrip(),
        reference_ms=found.reference.median_ms,
        chosen=chosen,
        limits=[limit.bound for limit in study.limits if limit.name == "lpips"],
        floor_lpips=found.floor.value if found.floor else None,
    )


def draw_front(study: Study, found: Front, path: Path, policy: Policy | None = None) -> Path:
    """Writes the front as a figure.

    Arguments:
        study: The study.
        found: What it has measured.
        path: Where the figure goes; its ending is the format.
        policy: An exported policy to mark.
    """
    from frdiff_tune.report.front_figure import save_figure

    machine = machine_line(policy.machine) if policy and policy.machine else ""
    chosen = policy.provenance.trial if policy and policy.provenance else None
    return save_figure(front_of(study, found, chosen=chosen, machine=machine), path)


def draw_pairs(
    study: Study,
    policy: Policy,
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    cases: Sequence[Case],
    path: Path,
) -> Iterator[Pair]:
    """Draws cases with and without a policy, yields each pair, and writes the figure at the end."""
    from frdiff_tune.report.pairs import pairs

    call = study.file.call
    done: list[Pair] = []
    for pair in pairs(pipe, policy, cases, call.arguments, steps=call.num_inference_steps):
        done.append(pair)
        yield pair
    names = row_names(policy, solver(type(pipe.scheduler).__name__), call.num_inference_steps)
    save_side_by_side(done, path, title=f"{study.name}: reference and policy, held-out prompts, same seeds", names=names)


def call_text(case: Case, call: Mapping[str, Any]) -> str:
    """Returns what a user would write between the parentheses of a call, as Python.

    Arguments:
        case: What to draw; its pictures appear as variables of their arguments' names.
        call: Arguments that are the same for all cases; what decides the walked steps must be given.
    """
    from frdiff_tune.measure import image_names
    from frdiff_tune.measure.walk import SHORTENING

    images = image_names(case)
    shown = [value for name, value in case.arguments.items() if name not in images][:1]
    words = [repr(value if isinstance(value, str) else [value]) for value in shown]
    fixed = {**call, **case.arguments}
    named = [f"{name}={name}" for name in images] + [f"{name}={fixed[name]!r}" for name in SHORTENING if name in fixed]
    return ", ".join(words + named)
