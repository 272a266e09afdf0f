"""The command's frame: one group of verbs, and what happens when a verb fails or is interrupted."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

INTERRUPTED = 130  # the shell's exit code for Ctrl-C
DEBUG = "--debug"

HELP = """Make a diffusion model faster, measured on your own machine.

It searches what a pipeline can reuse, skip or forecast between its denoising steps, times every candidate, \
compares its pictures with the unaccelerated ones, and exports a small JSON policy that one line of Python applies.

[bold]A first run[/bold], on a small model that comes with it:

[cyan]frdiff-tune tune demo[/cyan]                     search; Ctrl-C any time, goes on later
[cyan]frdiff-tune front demo[/cyan]                    what was found
[cyan]frdiff-tune export demo -o policy.json[/cyan]    the one to use, measured again
[cyan]frdiff-tune generate policy.json "a fox on a blue background" --compare[/cyan]
"""


class Verbs(TyperGroup):
    """Ends a user's mistake with one paragraph and an exit code, never with a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer vendors click and exports no type
        """Lets ``--debug`` stand anywhere in the line."""
        own = args[: args.index("--")] if "--" in args else args
        if DEBUG in own:
            args = [DEBUG, *(arg for arg in own if arg != DEBUG), *args[len(own) :]]
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Runs the verb.

        Raises:
            typer.Exit: With the error's own exit code, or 130 after Ctrl-C.
        """
        from frdiff_tune.errors import FrdiffError

        try:
            return super().invoke(ctx)
        except FrdiffError as error:
            if ctx.params.get("debug"):
                raise
            _say("Error", str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                raise
            _say("Stopped", "Nothing was written; run the same command again to start over.")
            raise typer.Exit(INTERRUPTED) from None


def _say(word: str, text: str) -> None:
    from rich.text import Text

    from frdiff_tune.cli.console import errors

    errors().print(Text.assemble((f"{word}: ", "bold red" if word == "Error" else "bold yellow"), text), soft_wrap=True)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"frdiff-tune {version('frdiff-tune')}")
        raise typer.Exit


app = typer.Typer(
    name="frdiff-tune",
    help=HELP,
    cls=Verbs,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def frame(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holds the options of the command itself; ``Verbs`` reads them."""
