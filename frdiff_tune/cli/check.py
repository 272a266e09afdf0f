"""``frdiff-tune check``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def check(
    policy: Annotated[str, typer.Argument(help="A policy file, or a repository of the hub (user/repo).", show_default=False)],
    study: Annotated[
        str, typer.Option(help="Study whose held-out cases are measured.", show_default="the policy's own")
    ] = "",
    model: Annotated[str, typer.Option(help="Model to load.", show_default="the one that the policy names")] = "",
    device: Annotated[str, typer.Option(help="cuda or cpu.", show_default="the study's")] = "",
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16.", show_default="the study's")] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the policy with the figures measured here.")
    ] = None,
    weights: Annotated[str, typer.Option(help="Folder in which metrics' weights are looked for first.")] = "",
    validity: Annotated[
        int, typer.Option(min=0, help="Held-out cases drawn in other calls, too: other guidance, other sizes; 0: none.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Measure a policy again on this machine, and say whether it still holds.

    A figure holds when its 95 % interval overlaps the one in the file. Exit code 0: it holds; 3: it differs, on \
another machine than the file's; 4: it does not hold. A policy that states no figures, as one that was stretched to another \
step count, is measured for the first time.

    [dim]Example:[/dim]  frdiff-tune check policy.json
    """
    from frdiff_tune.cli.console import errors, finish, print_json, results
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.checked import checking, with_validity
    from frdiff_tune.report.setting import setting_of

    loaded = Policy.load(policy)
    setting = setting_of(loaded, study=study, model=model, device=device, dtype=dtype)
    if setting.study is not None:
        setting = replace(setting, study=setting.study.with_weights(weights))
    pipe = setting.load()
    checked = finish("measuring", checking(loaded, setting, pipe))
    if validity:
        checked = finish("measuring in other calls", with_validity(checked, setting, pipe, validity))
    if output is not None:
        checked.policy.save(output)
    if checked.same_cases is False:
        errors().print("The cases are not those of the file: figures may differ for that reason.", style="yellow")
    if as_json:
        print_json(checked.json())
    else:
        results().print(checked.table())
        if validity:
            results().print("", checked.validity_table(), sep="\n")
        results().print(f"\n{checked.verdict}", style="bold", markup=False)
    raise typer.Exit(checked.exit_code)
