"""The groups of a space on a pipeline: which sites they mean, and what becomes of sites that lie inside each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from frdiff_tune.runtime import default_groups, match_groups
from frdiff_tune.runtime.site import KnownSites

Sites = tuple[str, ...]


def resolve_groups(pipe: Any, patterns: Mapping[str, Sequence[str]]) -> dict[str, Sites]:  # noqa: ANN401
    """Returns the sites of each group, the outer groups first.

    Arguments:
        pipe: The pipeline.
        patterns: Group name -> patterns of site names, or names of the family's own groups.

    Raises:
        MismatchError: If a pattern means no site.
    """
    own = default_groups(pipe)
    found: dict[str, Sites] = {}
    for name, globs in patterns.items():
        sites: dict[str, None] = {}
        for glob in globs:
            sites |= dict.fromkeys(own[glob] if glob in own else match_groups(pipe, {name: (glob,)})[name])
        found[name] = tuple(sites)
    return dict(sorted(found.items(), key=lambda item: min(site.count(".") for site in item[1])))


def without_nesting(groups: Mapping[str, Sites], chosen: Iterable[str]) -> KnownSites:
    """Returns the chosen groups such that no site lies inside another group's: the outer one wins.

    A group loses the sites that lie inside, or are, those of a group before it; one that loses all is left out. Where a
    group holds a block and what is inside it, the block wins as well.

    Arguments:
        groups: Sites per group, the outer groups first.
        chosen: Names of the groups that are on.
    """
    taken: list[str] = []
    kept = KnownSites()
    wanted = set(chosen)
    for name in (name for name in groups if name in wanted):
        free = [site for site in sorted(groups[name], key=lambda site: site.count(".")) if not _meets(site, taken)]
        outer = [site for i, site in enumerate(free) if not _meets(site, free[:i])]
        if outer:
            kept[name] = tuple(outer)
            taken += outer
    return kept


def _meets(site: str, others: Iterable[str]) -> bool:
    """Whether a site is, lies inside, or holds one of the others."""
    return any(site == other or site.startswith(f"{other}.") or other.startswith(f"{site}.") for other in others)
