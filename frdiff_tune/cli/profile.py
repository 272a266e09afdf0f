"""``frdiff-tune profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from frdiff_tune.measure import Profile
    from frdiff_tune.report.profiled import Question


def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_OR_STUDY",
            help="demo:emoji, demo:emoji-dit, a hub id, a folder, package.module:factory; or a study: demo, or a .toml file.",
            show_default=False,
        ),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Also write the profile into this JSON file.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw what changes from step to step into this file (.png, .svg, .pdf).")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Steps of the full run.", show_default="the study's, else 50")
    ] = None,
    cases: Annotated[int, typer.Option(min=0, help="Full runs to record for what changes from step to step.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is timed.")] = 5,
    prompt: Annotated[
        str, typer.Option(help="What to draw; a class name or id for class models.", show_default="the study's cases, or any")
    ] = "",
    times: Annotated[bool, typer.Option("--times/--no-times", help="Measure, or only list the sites.")] = True,
    device: Annotated[str, typer.Option(help="cuda or cpu; the study's, else the GPU if there is one.")] = "",
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16; the study's, else the files' own.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """List what a model can reuse, and measure what that saves and what it changes.

    Sites are places whose result can be kept and given back at a later step; a group is a set of them that act together.
    Write the groups that are worth it into a search space: those that save much and change little. Of a study, its \
own groups are measured, as it calls the pipeline.

    [dim]Example:[/dim]  frdiff-tune profile demo:emoji --figure changes.png
    """
    from frdiff_tune.cli.console import finish, print_json, results
    from frdiff_tune.report.profile import profile_json, profile_table, profile_words
    from frdiff_tune.report.profiled import question_of
    from frdiff_tune.report.sites import sites_table
    from frdiff_tune.runtime import discover_sites

    question = question_of(model, prompt=prompt, steps=steps, cases=max(cases, 1), device=device, dtype=dtype)
    sites = discover_sites(question.pipe)
    found = finish("profiling", question.profiling(cases, rounds)) if times else None
    written = _written(found, question, output, figure) if found else {}
    if as_json:
        print_json(
            {"model": question.source, "pipeline": type(question.pipe).__name__, **profile_json(sites, found), **written}
        )
        return
    console = results()
    console.print(sites_table(sites, question.groups))
    if found:
        console.print("")
        console.print(profile_table(found))
        for sentence in profile_words(found):
            console.print(f"\n{sentence}", markup=False)
    for name, path in written.items():
        console.print(f"\n{name.capitalize()}: {path}", markup=False, soft_wrap=True)


def _written(found: Profile, question: Question, output: Path | None, figure: Path | None) -> dict[str, str]:
    """Writes what was asked for; returns where."""
    paths = {}
    if output:
        found.save(output)
        paths["file"] = str(output)
    if figure:
        from frdiff_tune.report.front_figure import save_figure
        from frdiff_tune.report.profile_figure import profile_figure

        paths["figure"] = str(save_figure(profile_figure(found, question.source), figure))
    return paths
