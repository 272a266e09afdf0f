"""``frdiff-tune push``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    policy: Annotated[str, typer.Argument(help="A policy file.", show_default=False)],
    repository: Annotated[str, typer.Argument(help="Where it goes, as user/repo; made if it is missing.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="A new repository is seen by you alone.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the files into this folder and upload nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Upload a measured policy to the Hugging Face hub, with a card made from its figures and a picture of its schedule.

    Anybody can then apply it by the repository's name. Log in first, with `hf auth login`.

    [dim]Example:[/dim]  frdiff-tune push policy.json me/sdxl-fast --private
    [dim]Example:[/dim]  frdiff-tune push policy.json me/sdxl-fast -o card    [dim](look at it first)[/dim]
    """
    from tempfile import TemporaryDirectory

    from frdiff_tune.cli.console import print_json, results
    from frdiff_tune.policy import Policy
    from frdiff_tune.policy.hub import push as upload
    from frdiff_tune.report.card import card_folder

    loaded = Policy.load(policy)
    if output is not None:
        said = {"files": [str(path) for path in card_folder(loaded, repository, output)]}
        line = f"Written, not uploaded: {', '.join(said['files'])}"
    else:
        with TemporaryDirectory() as folder:
            card_folder(loaded, repository, Path(folder))
            address = upload(Path(folder), repository, private=private)
        said = {"uploaded": [address]}
        line = f"Uploaded: {address}\nApply it with: apply_policy(pipe, {repository!r})"
    if as_json:
        print_json({"repository": repository, **said})
    else:
        results().print(line, markup=False, soft_wrap=True)
