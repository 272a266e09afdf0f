"""``frdiff-tune show``."""

from __future__ import annotations

from typing import Annotated

import typer


def show(
    policy: Annotated[str, typer.Argument(help="A policy file, or a repository of the hub (user/repo).", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show what a policy does at each step, and what was measured of it.

    Needs neither the model nor a GPU: everything is in the file.

    [dim]Example:[/dim]  frdiff-tune show policy.json
    """
    from frdiff_tune.cli.console import print_json, results, unicode_output
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.chart import ASCII, BLOCKS, chart, legend
    from frdiff_tune.report.policy_tables import facts, policy_json
    from frdiff_tune.report.weights_table import weights_table

    loaded = Policy.load(policy)
    if as_json:
        print_json(policy_json(loaded))
        return
    console = results()
    console.print(facts(loaded))
    glyphs = BLOCKS if unicode_output() else ASCII
    console.print()
    for line in chart(loaded, console.width, glyphs):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"\n{legend(glyphs)}", style="dim", markup=False)
    if (weights := weights_table(loaded)) is not None:
        console.print("\nnext state = state weight * state + weights of the network's predictions, newest first", style="dim")
        console.print(weights)
