"""``frdiff-tune diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A policy file, or a repository.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    figure: Annotated[Path | None, typer.Option(help="Also draw both into this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Say what two policies do differently, in words and as a figure.

    Needs neither the model nor a GPU: everything is in the files.

    [dim]Example:[/dim]  frdiff-tune diff old.json new.json --figure diff.png
    """
    from frdiff_tune.cli.console import print_json, results, say
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.differing import difference_figure, differences, differing_steps, figures_line, headline
    from frdiff_tune.report.front_figure import save_figure

    a, b = Policy.load(first), Policy.load(second)
    found = list(differences(a, b))
    drawn = save_figure(difference_figure(a, b, f"A: {first}\nB: {second}"), figure) if figure else None
    if as_json:
        same = a.digest == b.digest
        print_json({"same": same, "differences": found, "steps": differing_steps(a, b), "figure": drawn and str(drawn)})
        return
    console = results()
    for line in (*headline(a, b), ""):
        say(console, line)
    for line in found or ["They draw the same pictures."]:
        say(console, f"- {line}" if found else line)
    say(console, "")
    for name, policy in (("A", a), ("B", b)):
        say(console, figures_line(name, policy.measured))
    if drawn:
        say(console, f"\nFigure: {drawn}")
