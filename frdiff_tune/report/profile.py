"""The profile of a model for people and programs: its sites by group, and what a step saves that gives a group back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.profile_figure import cases

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.measure import GroupProfile, Interval, Profile
    from frdiff_tune.runtime import Site

MIB = 2**20
HEADINGS = ("saves, ms", "95 % interval", "of its time", "of its FLOPs", "cache, MiB", "change to next step")


def profile_table(profile: Profile) -> Table:
    """Returns what reusing each group saves, the most first."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("group")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for name, group in sorted(profile.groups.items(), key=lambda item: -item[1].saved_ms.value):
        saved = group.saved_ms
        table.add_row(
            name,
            f"{saved.value:.2f}",
            f"{saved.low:.2f} to {saved.high:.2f}",
            f"{group.saved_share.value:.0%}",
            _operations(group, profile),
            "" if group.cache_bytes is None else f"{group.cache_bytes / MIB:.2f}",
            _change(name, profile),
        )
    return table


def _operations(group: GroupProfile, profile: Profile) -> str:
    if group.flops is None or profile.operations.step == 0:
        return ""
    return f"{group.flops / profile.operations.step:.0%}"


def _change(name: str, profile: Profile) -> str:
    """Returns the median over steps of a group's change to the next one."""
    if profile.similarity is None or name not in profile.similarity.change:
        return ""
    return f"{median(profile.similarity.neighbours(name)):.1%}"


def profile_words(profile: Profile) -> Iterator[str]:
    """Yields sentences on what the table does not hold."""
    costs, call = profile.costs, profile.call
    full = f"{costs.step_ms.value:.1f} ms (95 % interval {costs.step_ms.low:.1f} to {costs.step_ms.high:.1f})"
    yield (
        f"A full step takes {full} and {profile.operations.step / 1e9:.2f} GFLOP, what is outside the steps "
        f"{costs.outside_ms.value:.0f} ms: a call of {call.T} steps about {profile.reference_ms:.0f} ms and "
        f"{profile.operations.call / 1e9:.0f} GFLOP."
    )
    jumps = ", ".join(f"{name} {jump.value:.2f}" for name, jump in costs.jump_ms.items())
    yield f"A step that calls no network (a jump) takes, in ms, by solver: {jumps}."
    yield (
        "Saved is what a network call takes less that gives this group back and computes the rest; groups that lie inside each "
        "other save the same time twice."
    )
    if profile.similarity is not None:
        yield (
            f"The change is that of what would be given back, relative to its size, median over steps, mean over "
            f"{cases(profile.similarity.cases)}: the smaller, the closer a reuse comes to computing."
        )


def interval_json(interval: Interval) -> dict[str, float]:
    """Returns a figure with the ends of its 95 % interval."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def profile_json(sites: Sequence[Site], profile: Profile | None) -> dict[str, Any]:
    """Returns sites, and the profile as its file holds it."""
    listed = [{"name": site.name, "group": site.group, "kind": site.kind, "module_class": site.module_class} for site in sites]
    found = None if profile is None else profile.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"sites": listed, "profile": found}
