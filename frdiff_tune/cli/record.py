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
kept in the study's database at once: stop with Ctrl-C, the same command goes on. Python replays the file with \
`frdiff_tune.search.TableEvaluator`.

    [dim]Example:[/dim]  frdiff-tune record my-study.toml --policies 500 -o table.json.gz
    """
    from frdiff_tune.cli.console import finish, results
    from frdiff_tune.search import Recorder, load_study

    recorder = Recorder(load_study(study), policies, pairs=pairs)
    finish("drawing pictures", recorder.pictures())
    console = results()
    if not times:
        console.print(
            f"The pictures of {len(recorder.designed):,} policies are drawn and compared. Time them when nothing else runs: "
            f"frdiff-tune record {study} -o {output}",
            soft_wrap=True,
            markup=False,
        )
        return
    finish("timing", recorder.times())
    table = recorder.table()
    table.save(output)
    kind = "all there are in the space" if table.whole else "a part of the space"
    console.print(f"Table: {output}: {len(table.rows):,} policies, {kind}.", soft_wrap=True, markup=False)
