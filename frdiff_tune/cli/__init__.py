"""The command line: verbs, no logic."""

from __future__ import annotations

from frdiff_tune.cli.app import app
from frdiff_tune.cli.cache import cache
from frdiff_tune.cli.check import check
from frdiff_tune.cli.dashboard import dashboard
from frdiff_tune.cli.diff import diff
from frdiff_tune.cli.export import export
from frdiff_tune.cli.front import front
from frdiff_tune.cli.generate import generate
from frdiff_tune.cli.polish import polish
from frdiff_tune.cli.profile import profile
from frdiff_tune.cli.push import push
from frdiff_tune.cli.record import record
from frdiff_tune.cli.report import report
from frdiff_tune.cli.schema import schema
from frdiff_tune.cli.show import show
from frdiff_tune.cli.tune import tune

__all__ = ["app", "main"]

SEARCH, USE, LOOK = "Search", "Use a policy", "Look inside"

app.command(rich_help_panel=SEARCH)(tune)
app.command(rich_help_panel=SEARCH)(polish)
app.command(rich_help_panel=SEARCH)(front)
app.command(rich_help_panel=SEARCH)(dashboard)
app.command(rich_help_panel=SEARCH)(report)
app.command(rich_help_panel=SEARCH)(export)
app.command(rich_help_panel=USE)(generate)
app.command(rich_help_panel=USE)(check)
app.command(rich_help_panel=USE)(show)
app.command(rich_help_panel=USE)(diff)
app.command(rich_help_panel=USE)(push)
app.command(rich_help_panel=LOOK)(profile)
app.command(rich_help_panel=LOOK)(record)
app.command(rich_help_panel=LOOK)(cache)
app.command(rich_help_panel=LOOK)(schema)


def main() -> None:
    """Runs the command ``frdiff-tune``."""
    app()
