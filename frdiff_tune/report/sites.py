"""A model's sites as a table: one row per group, with the pattern that a search space would name them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.runtime import Site

SHOWN = 3  # names of a group; the rest is counted


def sites_table(sites: Sequence[Site], groups: Mapping[str, Sequence[str]]) -> Table:
    """Returns the groups of a model: kind, module class, number of sites, and where they are.

    Arguments:
        sites: All sites.
        groups: Name of a group -> names of its sites.
    """
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("group", "kind", "module", "sites", "names"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "sites" else "left")
    for group, own in groups.items():
        members = [site for site in sites if site.name in set(own)]
        kinds = ", ".join(dict.fromkeys(site.kind for site in members))
        modules = ", ".join(dict.fromkeys(site.module_class for site in members))
        table.add_row(group, kinds, modules, str(len(members)), names(members))
    return table


def names(sites: Sequence[Site]) -> str:
    """Returns the first few names, the rest as a number."""
    shown = [site.name for site in sites[:SHOWN]]
    prefix = commonprefix(shown).rpartition(".")[0] if len(shown) > 1 else ""
    rest = len(sites) - len(shown)
    short = [shown[0], *(name.removeprefix(prefix) for name in shown[1:])]
    return ", ".join(short) + (f" and {rest} more" if rest else "")
