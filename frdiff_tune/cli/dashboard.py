"""``frdiff-tune dashboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OWN = "127.0.0.1"


def dashboard(
    study: Annotated[str, typer.Argument(help="A study: a bare name (demo) or the path of a .toml file.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 shows it to the network, without a password.")] = OWN,
    trial: Annotated[
        list[int] | None,
        typer.Option(help="A further trial that gets pictures; may be given more than once.", show_default="none"),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, max=8, help="Held-out pictures of each; 0: none, then the model is not loaded.")
    ] = 4,
    artifacts: Annotated[
        Path | None, typer.Option(help="Folder of pictures and schedules.", show_default="beside the database")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
) -> None:
    """Show a study in Optuna's dashboard: notes in words, the front as a figure, pictures and schedules of the best trials.

    Pictures are drawn for the front and what is close to it, once; the next start takes a moment. A study may be shown \
while it runs: start it again for what has come since. Ctrl-C ends it.

    [dim]Example:[/dim]  frdiff-tune dashboard demo
    """
    from threading import Thread

    from frdiff_tune.cli.console import errors, finish, results
    from frdiff_tune.report.dashboard import annotate, illustrate, serving
    from frdiff_tune.search import load_study

    loaded = load_study(study)
    annotate(loaded)
    server, address = serving(loaded, host, port, artifacts)
    served = Thread(target=server.serve_forever, daemon=True)
    with server:
        served.start()
        if host != OWN:
            errors().print(f"Whoever reaches {host} can read and change this study: there is no password.", style="yellow")
        results().print(f"Dashboard: {address} (Ctrl-C ends it)", markup=False, soft_wrap=True)
        if browser:
            typer.launch(address)
        try:
            run = illustrate(loaded, trials=trial or (), pictures=pictures, artifacts=artifacts)
            count = finish("drawing pictures", run)
            results().print(f"{count} trials have pictures and schedules; what comes later gets them at the next start.")
            served.join()
        except KeyboardInterrupt:
            errors().print("Ended. What was drawn is kept, the study is as it was.", markup=False)
        finally:
            server.shutdown()
