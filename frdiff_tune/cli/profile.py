"""``frdiff-tune profile``."""

from __future__ import annotations

from typing import Annotated

import typer


def profile(
    model: Annotated[str, typer.Argument(help="demo:emoji, demo:emoji-dit, a hub id, a folder, or package.module:factory.")],
    prompt: Annotated[str, typer.Option(help="What to draw while timing; a class name or id for class models.")] = "",
    times: Annotated[bool, typer.Option("--times/--no-times", help="Time what each group saves, or only list.")] = True,
    device: Annotated[str, typer.Option(help="cuda or cpu; the GPU if there is one.")] = "",
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16; the files' own.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """List what a model can reuse, and time what that saves.

    Sites are places whose result can be kept and given back at a later step; a group is a set of them that act together.
    Write the groups that are worth it into a search space.

    [dim]Example:[/dim]  frdiff-tune profile demo:emoji
    """
    from frdiff_tune.cli.console import print_json, progress, results
    from frdiff_tune.measure import GroupProfile
    from frdiff_tune.measure import profile as profiled
    from frdiff_tune.report.cases import case_of
    from frdiff_tune.report.profile import profile_json, profile_table
    from frdiff_tune.report.sites import sites_table
    from frdiff_tune.runtime import default_groups, discover_sites, load_pipeline

    pipe = load_pipeline(model, device=device, dtype=dtype)
    sites = discover_sites(pipe)
    groups: list[GroupProfile] = []
    if times:
        with progress("timing groups", len(default_groups(pipe))) as done:
            for group in profiled(pipe, [case_of(pipe, prompt)]):
                groups.append(group)
                done(len(groups))
    if as_json:
        print_json({"model": model, "pipeline": type(pipe).__name__, **profile_json(sites, groups)})
        return
    results().print(sites_table(sites, default_groups(pipe)))
    if groups:
        results().print("")
        results().print(profile_table(groups))
