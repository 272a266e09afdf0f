"""The profile of a model for people and programs: its sites by group, and what a step saves that gives a group back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.measure import GroupProfile, Interval
    from frdiff_tune.runtime import Site

MIB = 2**20


def profile_table(groups: Sequence[GroupProfile]) -> Table:
    """Returns what reusing each group saves, the most first."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("group")
    for heading in ("full step ms", "reuse step ms", "95 % interval", "saves", "cache MiB"):
        table.add_column(heading, justify="right")
    for group in sorted(groups, key=lambda group: group.reuse_step_ms.value):
        full, reuse = group.full_step_ms, group.reuse_step_ms
        table.add_row(
            group.group,
            f"{full.value:.2f}",
            f"{reuse.value:.2f}",
            f"{reuse.low:.2f} to {reuse.high:.2f}",
            f"{1 - reuse.value / full.value:.0%}",
            f"{group.cache_bytes / MIB:.2f}",
        )
    return table


def profile_json(sites: Sequence[Site], groups: Sequence[GroupProfile]) -> dict[str, Any]:
    """Returns sites and times under keys that name their units."""
    return {
        "sites": [
            {"name": site.name, "group": site.group, "kind": site.kind, "module_class": site.module_class}
            for site in sites
        ],
        "groups": [
            {
                "group": group.group,
                "sites": group.sites,
                "full_step_ms": interval_json(group.full_step_ms),
                "reuse_step_ms": interval_json(group.reuse_step_ms),
                "cache_mib": group.cache_bytes / MIB,
            }
            for group in groups
        ],
    }


def interval_json(interval: Interval) -> dict[str, float]:
    """Returns a figure with the ends of its 95 % interval."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}
