"""``frdiff-tune polish``."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer


def polish(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    trial: Annotated[
        list[int] | None, typer.Option(min=0, help="A trial to polish; may be repeated.", show_default="the front chooses")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many, where the front chooses.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps for each.")] = 40,
) -> None:
    """Bring policies of a study's front closer to the reference, at the same speed.

    A policy that skips steps fills them with a weighted sum of the scores that it has. Every weight is moved by gradient, \
through whole runs of a few search cases, towards the pictures of all steps; then the policy is measured like any other trial. \
It takes a backward pass through the network: about as long as twenty trials for each.

    [dim]Example:[/dim]  frdiff-tune polish demo --count 2
    """
    from frdiff_tune.cli.app import INTERRUPTED
    from frdiff_tune.cli.console import errors, progress, results, roomy
    from frdiff_tune.report.points import points_of
    from frdiff_tune.report.summary import front_table
    from frdiff_tune.search import Polishing, Preparing, TrialOutcome, front, load_study
    from frdiff_tune.search import polish as polished

    loaded = load_study(study)
    wanted = tuple(trial or ())
    total = len(wanted) or count
    done, before = 0, -1
    try:
        with closing(polished(loaded, trials=wanted, count=count, steps=steps)) as run, progress("polishing", 1.0) as shown:  # type: ignore[type-var]
            for event in run:
                if isinstance(event, Polishing):
                    done, before = done + (event.trial != before), event.trial
                    shown((done - 1 + event.step / event.steps) / total)
                    if event.step == event.steps:
                        errors().print(f"trial {event.trial}: error {event.first:.3g} to {event.loss:.3g}", markup=False)
                elif isinstance(event, TrialOutcome):
                    line = f"trial {event.number}: {event.speedup.value:.2f}x, LPIPS {event.lpips.value:.4g}"
                    errors().print(line, markup=False)
                elif not isinstance(event, Preparing):
                    errors().print(f"trial {event.number}: {event}", markup=False)
    except KeyboardInterrupt:
        line = f"Stopped. What is polished is kept; measure it with: frdiff-tune polish {study}"
        errors().print(line, style="yellow", soft_wrap=True, markup=False)
        raise typer.Exit(INTERRUPTED) from None
    measured = front(loaded)
    console = results()
    console.print(front_table(points_of(measured), measured.reference.median_ms, count=12, words=roomy(console)))
