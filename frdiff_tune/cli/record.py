"""``frdiff-tune record``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def record(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The table, as .json.gz.", show_default=False)],
    policies: Annotated[
        int | None, typer.Option(min=1, help="How many policies.", show_default="all, where the space can be enumerated")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Timed pairs of every policy.")] = 4,
    times: Annotated[bool, typer.Option("--times/--no-times", help="Time them too, or only draw and keep.")] = True,
) -> None:
    """Measure a designed set of policies into one file, with which searches are compared without a GPU.

    Pictures come first, for which other load on the machine does not matter; then times, for which it does. All is \
kept in the study's database at once: stop with Ctrl-C, the same command goes on. It also goes on from a file that was \
not finished, on another machine, too: pictures are taken from it, times only where the machine is of the same kind. \
Python replays the file with `frdiff_tune.search.TableEvaluator`.

    [dim]Example:[/dim]  frdiff-tune record my-study.toml --policies 500 -o table.json.gz
    """
    from frdiff_tune.cli.app import INTERRUPTED
    from frdiff_tune.cli.console import errors, finish, results
    from frdiff_tune.search import Recorder, Table, load_study

    begun = Table.load(output) if output.exists() else None
    recorder = Recorder(load_study(study), policies, pairs=pairs, begun=begun)
    try:
        finish("drawing pictures", recorder.pictures())
        if times:
            finish("timing", recorder.times())
    except KeyboardInterrupt:
        again = f"Stopped. What is measured is kept; go on with: frdiff-tune record {study} -o {output}"
        errors().print(again, style="yellow", soft_wrap=True, markup=False)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        table = recorder.table()
        if table.rows:
            table.save(output)
    kind = "all there are in the space" if table.whole else "a part of the space"
    console = results()
    console.print(f"Table: {output}: {len(table.rows):,} policies, {kind}.", soft_wrap=True, markup=False)
    if not table.timed:
        then = f"Not all of them are timed. When nothing else runs: frdiff-tune record {study} -o {output}"
        console.print(then, soft_wrap=True, markup=False)
