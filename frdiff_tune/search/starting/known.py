"""Policies that people know, which a tuner has to beat.

Every step computed, fewer steps by every solver, FRDiff's uniform schedule, jumps at a fixed interval, and timestep lists.
"""

from collections.abc import Iterator
from typing import Any

from frdiff_tune.runtime import default_groups, find_denoiser
from frdiff_tune.search.forecasts import HOLD
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import FITTED
from frdiff_tune.search.starting.point import StartingPoint, own_scheduler, point, reference_T, trend
from frdiff_tune.search.starting.timestep_lists import aligned_keyframes

FEWER = (0.4, 0.2, 0.6, 0.26, 0.14, 0.3, 0.8, 0.5)
"""Step counts of fewer steps, as shares of the reference's."""
INTERVALS = (2, 3, 5)
ALIGNED = (10, 20, 14, 7)
"""Keyframes of 50 steps of sets that follow a timestep list; the list itself has ten."""


def full(space: Space) -> Iterator[StartingPoint]:
    """Yields the run that computes every step, in every way of launching."""
    T = reference_T(space)
    for capture in space.captures:
        yield from _whole(space, "known: full", T, capture=capture)


def fewer(space: Space) -> Iterator[StartingPoint]:
    """Yields fewer steps by the pipeline's own solver twice as often as by each other one."""
    own = own_scheduler(space)
    others = [label for label in space.schedulers if label not in (own, FITTED)]
    counts = [max(round(share * space.reference_steps), 1) for share in FEWER]
    runs = [(own, count) for count in counts[:4]] + [(label, counts[1]) for label in others]
    runs += [(own, count) for count in counts[4:]]
    runs += [(label, count) for count in (counts[0], counts[4]) for label in others]
    for label, count in runs:
        if space.steps[0] <= count <= space.steps[1]:
            T = space.full(count, label).T
            yield from _whole(space, "known: fewer steps", T, num_inference_steps=count, scheduler=label)


def _whole(space: Space, family: str, T: int, **changes: Any) -> Iterator[StartingPoint]:  # noqa: ANN401
    """Yields the run of a solver that computes every step; nothing where the space cannot write it."""
    mixing = {"mixing": "none"} if "none" in space.mixing.families else {}
    found = point(space, family, range(T), T, **mixing, **changes)
    policy = space.decode(found.params) if space.holds(found.params) else None
    if policy is not None and policy.nfe == policy.T and not policy.masks:
        yield found


def frdiff(space: Space) -> Iterator[StartingPoint]:
    """Yields FRDiff's uniform schedule with and without score mixing, in the groups that the paper reuses."""
    own = default_groups(space.pipe)
    paper = {site for name in find_denoiser(space.pipe).family.paper_groups for site in own[name]}
    groups = {f"group.{name}": set(sites) <= paper for name, sites in space.groups.items()}
    families = [family for family in ("hard_sigmoid", "none") if family in space.mixing.families]
    if "uniform" not in space.encodings or HOLD not in space.file.forecast.features or not any(groups.values()):
        return
    T = reference_T(space)
    for interval in INTERVALS:
        for family in families:
            shape = {"keyframes.interval": interval, "mixing": family, "forecast.variable": "output", **groups}
            shape |= {"forecast.variable": space.variables[0]} if "output" not in space.variables else {}
            yield point(space, "known: FRDiff", range(0, T, interval), T, **shape)


def jumps(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps at a fixed interval with linear forecasts: what feature caches forecast, done to the score."""
    if "uniform" not in space.encodings or "jump" not in space.mixing.families:
        return
    T, order = reference_T(space), 1 if 1 in space.file.forecast.order else space.file.forecast.order[0]
    for interval in INTERVALS:
        yield point(space, "known: jump", range(0, T, interval), T, **{"forecast.order": order})


def aligned(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps of held scores between the timesteps that "Align Your Steps" lists."""
    T, (least, most) = reference_T(space), space.file.keyframes.count
    if "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    for of_fifty in ALIGNED:
        keyframes = aligned_keyframes(space.pipe, space.reference_steps, T, round(of_fifty * T / 50))
        if keyframes is not None and least <= len(keyframes) <= most:
            yield point(space, "known: align your steps", keyframes, T, **trend(space, 0.0))
