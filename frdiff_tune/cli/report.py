"""``frdiff-tune report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the page and its figures.")] = Path("report"),
    trial: Annotated[
        list[int] | None,
        typer.Option(help="A trial to look at; may be given more than once.", show_default="the best, closest and fastest"),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, max=8, help="Held-out pictures of each; 0: none, then the model is not loaded.")
    ] = 4,
    profile: Annotated[
        Path | None,
        typer.Option(help="What `frdiff-tune profile STUDY -o FILE` wrote.", show_default="the model is profiled"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Write what a study has found as a page that needs nothing else: figures, tables, pictures, each with an explanation.

    The folder then holds report.html, which opens from the disk and prints well, and every figure as PNG and SVG. A \
study may be reported while it runs.

    [dim]Example:[/dim]  frdiff-tune report demo -o report
    """
    from frdiff_tune.cli.console import finish, print_json, results
    from frdiff_tune.measure.profile_file import load_profile
    from frdiff_tune.report.reported import reporting
    from frdiff_tune.search import load_study

    known = load_profile(profile) if profile else None
    run = reporting(load_study(study), output, command=study, trials=trial or (), pictures=pictures, profile=known)
    written = finish("drawing pictures, then profiling the model" if pictures and not known else "drawing", run)
    if as_json:
        print_json({"page": str(written.page), "figures": [str(path) for path in written.files]})
        return
    console = results()
    console.print(f"Page: {written.page}", markup=False, soft_wrap=True)
    console.print(f"Figures: {len(written.files)} files in {output}, PNG and SVG", markup=False, soft_wrap=True)
