"""The weights of a fitted policy, step by step, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.policy import Policy


def weights_table(policy: Policy) -> Table | None:
    """Returns the weights of state and predictions at each step; None for a policy whose scheduler has no tables.

    Arguments:
        policy: The policy.
    """
    from rich.table import Table

    from frdiff_tune.policy.multistep import NAME, Tables

    scheduler, grid = policy.sampling.scheduler, policy.sampling.grid
    if scheduler.name != NAME:
        return None
    tables = Tables.of(scheduler.config)
    steps, leading = (grid.steps, grid.leading) if grid is not None else (range(policy.T), 0)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    names = ("step", "of the reference" if grid else "", "timestep", "state", "predictions, newest first", "residual")
    for name in names:
        table.add_column(name, justify="left" if "predictions" in name else "right")
    for t, step in enumerate(steps):
        row = leading + t
        weights = "  ".join(f"{weight:+.4f}" for weight in tables.b[row])
        residual = f"{policy.fit.residuals[t]:.2g}" if policy.fit is not None else ""
        place = str(step) if grid else ""
        table.add_row(str(t), place, f"{tables.timesteps[row]:g}", f"{tables.c[row]:.4f}", weights, residual)
    return table

