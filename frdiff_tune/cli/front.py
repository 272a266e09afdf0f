"""``frdiff-tune front``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def front(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    figure: Annotated[Path | None, typer.Option(help="Also draw all trials into this file (.png, .svg, .pdf).")] = None,
    policy: Annotated[Path | None, typer.Option(help="An exported policy to mark in the figure.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show the best compromises that a study has found: no other policy is both faster and closer to the reference.

    A study may be looked at while it runs.

    [dim]Example:[/dim]  frdiff-tune front demo --figure front.png
    """
    from frdiff_tune.cli.console import print_json, results, roomy
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.exported import draw_front
    from frdiff_tune.report.points import points_of
    from frdiff_tune.report.summary import front_json, front_table, study_sentences
    from frdiff_tune.search import front as measured
    from frdiff_tune.search import load_study

    loaded = load_study(study)
    everything = measured(loaded)
    points, reference_ms = points_of(everything), everything.reference.median_ms
    drawn = draw_front(loaded, everything, figure, Policy.load(policy) if policy else None) if figure else None
    if as_json:
        shown = front_json(points, reference_ms, everything.failures, everything.stopped, everything.floor)
        print_json(shown | ({"figure": str(drawn)} if drawn else {}))
        return
    console = results()
    console.print(front_table(points, reference_ms, words=roomy(console)))
    for sentence in study_sentences(everything):
        console.print(f"\n{sentence}", markup=False)
    if drawn:
        console.print(f"\nFigure: {drawn}", markup=False, soft_wrap=True)
