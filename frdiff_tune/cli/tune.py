"""``frdiff-tune tune``."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from frdiff_tune.report.watch import Watch
    from frdiff_tune.search import Study


def tune(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of the whole study, earlier runs included.", show_default="the study's"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall time of this run, from its first trial on.", show_default="the study's")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="Another study, whose front is measured first.", show_default="none")
    ] = None,
    weights: Annotated[str, typer.Option(help="Folder in which metrics' weights are looked for first.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing before the summary at the end.")] = False,
) -> None:
    """Search a study: measure the known policies, then let Optuna propose better ones.

    It first says what it expects to need, then shows how far it is: the front so far, what became of the last trials, the \
device. Everything measured is kept at once: stop with Ctrl-C whenever you like, the same command goes on where it was.

    [dim]Example:[/dim]  frdiff-tune tune demo --minutes 10
    """
    from frdiff_tune.cli.app import INTERRUPTED
    from frdiff_tune.cli.console import errors, results, roomy, say
    from frdiff_tune.report.device_state import DeviceState
    from frdiff_tune.report.summary import front_table, next_commands, study_sentences
    from frdiff_tune.search import front, load_study, open_pipeline

    loaded = load_study(study).with_weights(weights)
    watch = _watch(loaded, trials, minutes)
    try:
        pipe = open_pipeline(loaded)
        watch.device = DeviceState(pipe)
        if not quiet:
            say(errors(), _expectation(loaded, pipe, trials, minutes))
        _search(loaded, pipe, watch, trials, minutes, load_study(start_from) if start_from else None, quiet)
    except KeyboardInterrupt:
        say(errors(), f"Stopped. {watch.finished} finished trials are kept; go on with: frdiff-tune tune {study}", "yellow")
        raise typer.Exit(INTERRUPTED) from None
    from frdiff_tune.report.points import points_of

    measured = front(loaded)
    points, reference_ms = points_of(measured), measured.reference.median_ms
    console = results()
    console.print(front_table(points, reference_ms, count=12, words=roomy(console)))
    for sentence in study_sentences(measured):
        console.print(f"\n{sentence}", markup=False)
    console.print("\nNext:", style="bold")
    for command, purpose in next_commands(study):
        console.print(f"  {command}\n      [dim]{purpose}[/dim]", soft_wrap=True)


def _watch(study: Study, trials: int | None, minutes: float | None) -> Watch:
    from frdiff_tune.errors import StudyError
    from frdiff_tune.report.watch import Watch
    from frdiff_tune.search import front

    search = study.file.search
    try:
        before = front(study)
        earlier = [point.trial for point in before.points], list(before.failures), list(before.stopped)
    except StudyError:
        earlier = [], [], []  # nothing measured yet; a storage that cannot be used is reported by the search itself
    end = minutes if minutes is not None else search.minutes
    return Watch(trials or search.trials, end, *earlier, objectives=search.objectives)


def _expectation(study: Study, pipe: Any, trials: int | None, minutes: float | None) -> str:  # noqa: ANN401
    from frdiff_tune.report.duration import duration
    from frdiff_tune.search import estimate

    need = estimate(study, pipe, trials=trials, minutes=minutes)
    cases = study.file.cases.search_count
    fits = f", {need.fits:,} fits of weights to {need.states:.0f} MiB of the reference's states" if need.fits else ""
    return (
        f"{study.name}: expects {need.pictures:,} pictures ({need.trials} trials on {cases} cases){fits}, about "
        f"{duration(60 * need.minutes)} and {need.megabytes:.0f} MiB of disk. Ctrl-C stops, the same command goes on."
    )


def _search(
    study: Study,
    pipe: Any,  # noqa: ANN401
    watch: Watch,
    trials: int | None,
    minutes: float | None,
    start_from: Study | None,
    quiet: bool,
) -> None:
    from rich.live import Live

    from frdiff_tune.cli.console import errors, say
    from frdiff_tune.search import known_from_elsewhere
    from frdiff_tune.search import tune as search

    console = errors()
    shown = console.is_terminal and not quiet
    live = Live(get_renderable=watch.view, console=console, transient=True) if shown else nullcontext()
    with closing(search(study, trials=trials, minutes=minutes, pipe=pipe, start_from=start_from)) as run, live:  # type: ignore[type-var]
        for number, event in enumerate(run):
            if not quiet and number == 0 and start_from and (known := known_from_elsewhere(study)):
                there = f"How close {known} policies are is known from {start_from.name}"
                say(console, f"{there}: the search learns from it, and measures here whatever it shows.")
            line = watch.take(event)
            if not (shown or quiet):
                console.print(f"{line} ({watch.progress()})", soft_wrap=True, markup=False)
