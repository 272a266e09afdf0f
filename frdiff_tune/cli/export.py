"""``frdiff-tune export``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from frdiff_tune.search import Export, Pick, Study


def export(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the policy goes.")] = Path("policy.json"),
    max_lpips: Annotated[float | None, typer.Option(min=0, help="The fastest whose mean LPIPS is surely at most this.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(min=0, help="The finest that surely takes at most this.")] = None,
    pick: Annotated[
        str, typer.Option(help="floor (the fastest that is as close as the reference is to its own limit), knee or trial:N.")
    ] = "floor",
    force: Annotated[bool, typer.Option("--force", help="Write the file even if a limit is not kept, marked.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw all trials and the choice into this file.")] = None,
    side_by_side: Annotated[Path | None, typer.Option(help="Also draw reference and policy into this file.")] = None,
    pictures: Annotated[int, typer.Option(min=1, max=12, help="Held-out prompts in that file.")] = 6,
    weights: Annotated[str, typer.Option(help="Folder in which metrics' weights are looked for first.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Choose a policy, measure it again on prompts and seeds that the search never saw, and write it.

    Without a limit it is the fastest whose pictures differ from the reference's no more than those differ from a run with \
four times the steps; where there is none, and with --pick knee, it is the best compromise. A limit is kept when \
the upper end of the 95 % interval keeps it. If it does not, the next finalist is measured; if none keeps it, no file is \
written (exit code 5). What was measured is kept: a second export does not measure it again.

    [dim]Example:[/dim]  frdiff-tune export demo --max-lpips 0.01 -o policy.json
    """
    from frdiff_tune.cli.console import print_json
    from frdiff_tune.report.exported import call_text, draw_front, export_json
    from frdiff_tune.search import front, held_out_cases, load_study, open_pipeline

    wanted = _wanted(pick, max_lpips, max_latency_ms)
    loaded = load_study(study).with_weights(weights)
    everything = front(loaded)
    pipe = open_pipeline(loaded)
    done = _measure(loaded, wanted, output, force, pipe)
    cases = held_out_cases(loaded, pipe)
    if figure:
        draw_front(loaded, everything, figure, done.policy)
    if side_by_side:
        _draw(loaded, done, pipe, cases[:pictures], side_by_side)
    files = [path for path in (output, figure, side_by_side) if path]
    if as_json:
        print_json(export_json(done, output) | {"files": [str(path) for path in files]})
    else:
        _tell(done, everything, files, call_text(cases[0], loaded.file.call.arguments))


def _wanted(text: str, max_lpips: float | None, max_latency_ms: float | None) -> Pick:
    from frdiff_tune.search import Pick

    return replace(Pick.parse(text), max_lpips=max_lpips, max_latency_ms=max_latency_ms)


def _measure(study: Study, wanted: Pick, path: Path, force: bool, pipe: Any) -> Export:  # noqa: ANN401
    from frdiff_tune.cli.console import finish
    from frdiff_tune.search import exporting

    return finish("measuring with fresh seeds, then on held-out cases", exporting(study, wanted, path, force=force, pipe=pipe))


def _draw(study: Study, done: Export, pipe: Any, cases: Any, path: Path) -> None:  # noqa: ANN401
    from frdiff_tune.cli.console import progress
    from frdiff_tune.report.exported import draw_pairs

    with progress("drawing pictures", len(cases)) as step:
        for number, _ in enumerate(draw_pairs(study, done.policy, pipe, cases, path), 1):
            step(number)


def _tell(done: Export, everything: Any, files: list[Path], call: str) -> None:  # noqa: ANN401
    from frdiff_tune.cli.console import results
    from frdiff_tune.report.exported import finalists_table, headline
    from frdiff_tune.report.summary import apply_lines, study_sentences
    from frdiff_tune.report.words import describe

    console = results()
    for sentence in study_sentences(everything):
        console.print(f"{sentence}\n", markup=False)
    if done.finalists:
        console.print("Measured again with fresh seeds:", style="bold")
        console.print(finalists_table(done, everything.objectives))
        console.print()
    for remark in done.remarks:
        console.print(f"{remark}\n", markup=False)
    console.print(f"Chosen: trial {done.point.trial.number}, {describe(done.policy)}.\n", markup=False)
    console.print(f"{headline(done.policy)}\n", style="bold", markup=False)
    for limit in done.broken:
        console.print(f"LIMIT NOT KEPT: {limit}\n", style="bold red", markup=False)
    console.print("Written: " + ", ".join(map(str, files)) + "\n", markup=False, soft_wrap=True)
    console.print("Apply it:\n", style="bold")
    for line in apply_lines(files[0], call, done.point.trial.capture):
        console.print(f"    {line}", markup=False, soft_wrap=True)
