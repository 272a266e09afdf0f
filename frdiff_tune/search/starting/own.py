"""Keyframe sets of our own: dense at both ends and sparse between, found by dynamic programming, or learnt by Auto-FR.

The first steps of a run decide the composition, the last ones the fine detail.
"""

from collections.abc import Iterator, Sequence

from frdiff_tune.runtime import default_groups
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.space import Space
from frdiff_tune.search.starting.point import StartingPoint, point, reference_T, trend

DENSE_ENDS = (
    (14, 1.6, 0.25, (2, 1, 1)), (10, 4.0, -0.25, (3, 2, 2, 1)), (18, 1.6, 0.25, (2, 1, 1)), (14, 4.0, 0.0, (2, 2, 1)),
    (24, 1.6, 0.25, (2, 1, 1)), (8, 4.0, -0.25, (3, 2, 1, 1)), (12, 4.0, -0.25, (3, 2, 2, 1)), (14, 1.6, 0.25, ()),
    (16, 1.6, 0.25, (2, 1, 1)), (10, 4.0, 0.0, (2, 2, 1)), (12, 1.6, 0.25, (2, 1, 1)), (9, 4.0, -0.25, (3, 2, 2, 1)),
    (18, 1.6, 0.0, (2, 2, 1)), (12, 2.4, 0.0, (2, 2, 1)), (30, 1.6, 0.25, (2, 1, 1)), (16, 4.0, -0.25, (3, 2, 2, 1)),
    (20, 1.6, 0.25, (2, 2, 1)), (10, 4.0, -0.25, ()), (14, 4.0, 0.0, ()), (24, 1.6, 0.0, ()), (14, 1.3, 0.25, (2, 1, 1)),
    (18, 4.0, -0.25, (2, 2, 1)), (24, 1.6, 1.0, (2, 1, 1)), (10, 2.4, 0.0, (2, 1, 1)), (20, 4.0, 0.0, (2, 2, 1)),
    (7, 4.0, -0.25, (3, 2, 1, 1)), (8, 4.0, 0.0, (2, 2, 1)), (30, 1.6, 1.0, (2, 2, 1)),
)  # fmt: skip
"""Keyframes of 50 steps, growth of their gaps, strength of a linear forecast, last gaps; other runs in proportion.

Why these: ``python -m benchmarks.ends demo demo-dit`` and its committed results. What is skipped at the very end is a small
error of every picture: last gaps that become short divide the median LPIPS several times. What is skipped early flips a few
pictures, and held scores flip others than extrapolated ones: a little of the way to the extrapolated score, or of the opposite
way, pays on some sets, the whole way on none of those measured.
"""
FOUND = (
    (12, 0.5, -0.25, 0.0), (17, 1.5, 0.0, 1.0), (8, 0.5, -0.25, 0.0), (14, 1.5, 0.25, 0.0), (25, 1.5, 1.0, 0.0),
    (17, 0.5, 0.25, 0.0), (10, 0.5, -0.25, 0.0), (12, 1.5, 0.0, 0.0), (21, 1.5, 0.0, 1.0), (14, 0.5, 0.0, 0.0),
    (9, 0.5, -0.25, 0.0), (21, 0.5, 0.5, 0.0), (30, 1.5, 1.0, 0.0), (7, 0.5, -0.25, 0.0), (15, 1.5, 0.0, 1.0),
    (10, 1.5, 0.0, 0.0), (25, 0.5, 1.0, 0.0), (38, 0.5, 1.0, 0.0),
)  # fmt: skip
"""Keyframes of 50 steps, how much early errors count, strength of a linear forecast, share of the way to the fitted one, of
sets that dynamic programming finds in full runs.

Why these: ``python -m benchmarks.found demo demo-dit`` and its committed results. Where keyframes are sparse, held scores, or a
little of the opposite way to extrapolated ones, are closest, and fitted ones far off; where they are dense the other way round.
Early errors should count more for the text model, less for the class model.
"""
BLOCKS = ((23, 1.6, (2, 1, 1)), (14, 1.6, (2, 1, 1)))
"""Keyframes of 50 steps, growth of their gaps, last gaps, where whole blocks give back what they kept in between.

Why these: ``python -m benchmarks.equal_cost demo demo-dit`` and its committed results. At equal network cost blocks come
closest to jumps; what the paper reuses, parts of the depth, and forecasts of features fall behind both.
"""
WHOLE = ("block", "shallow", "deep")
"""A family's own groups that together are whole blocks: of transformers, and of UNets."""
LEARNT = (17, 12, 25, 9)
"""Keyframes of 50 steps of sets that Auto-FR's gates give."""


def ramp(T: int, n: int, growth: float, last: Sequence[int] = ()) -> tuple[int, ...]:
    """Returns about n keyframes whose gaps are 1, 1, growth, growth^2, ... up to the plateau that fills the run.

    Arguments:
        T: Denoiser steps of the run.
        n: Keyframes; fewer where gaps that grow without a plateau leave the run before.
        growth: Ratio of neighbouring gaps on the ramp, above 1.
        last: Gaps that follow the plateau to the end of the run, in steps; each adds a keyframe, which counts in n.
    """
    ends = [T - sum(last[i:]) for i in range(len(last))]
    n, T = n - len(ends), ends[0] if ends else T
    gaps = [growth ** max(i - 1, 0) for i in range(n)]
    low, high = 1.0, float(T)
    for _ in range(50):  # bisection: the sum of the gaps grows with the plateau
        plateau = (low + high) / 2
        low, high = (plateau, high) if sum(min(gap, plateau) for gap in gaps) < T else (low, plateau)
    keyframes, place = [0], 0.0
    for gap in gaps[:-1]:
        place += min(gap, high)
        keyframes.append(max(keyframes[-1] + 1, round(place)))
    return (*(t for t in keyframes if t < T), *ends)


def dense_ends(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps between keyframes that are dense at both ends of the run."""
    if "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    T = reference_T(space)
    least, most = space.file.keyframes.count
    for of_fifty, growth, strength, last in DENSE_ENDS:
        size = round(of_fifty * T / 50)
        gaps = last if 4 * sum(last) <= T and size > len(last) + 2 else ()
        if least <= size <= min(most, T):
            keyframes = ramp(T, size, growth, gaps)
            yield point(space, "starting: dense-ends", keyframes, T, **trend(space, strength))


def found(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps between the keyframes that dynamic programming finds in recorded full runs."""
    T, (least, most) = reference_T(space), space.file.keyframes.count
    known = space.trajectory is not None and len(space.trajectory.times) == T
    if not known or "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    assert space.trajectory is not None
    variable = point(space, "", [0], T).params["forecast.variable"]
    ways = {early for _, early, *_ in FOUND}
    sets = {early: best_sets(segment_costs(space.trajectory, variable, early), T) for early in ways}
    for of_fifty, early, strength, share in FOUND:
        size = round(of_fifty * T / 50)
        if least <= size <= min(most, T):
            fits = dict.fromkeys(space.file.forecast.fits, share)
            yield point(space, "starting: dynamic programming", sets[early][size], T, **{**trend(space, strength), **fits})


def blocks(space: Space) -> Iterator[StartingPoint]:
    """Yields whole blocks that give back what they kept, over keyframes that are dense at both ends."""
    own = default_groups(space.pipe)
    whole = {site for name in WHOLE for site in own.get(name, ())}
    groups = {f"group.{name}": set(sites) <= whole for name, sites in space.groups.items()}
    if "keyframes" not in space.encodings or "none" not in space.mixing.families or not any(groups.values()):
        return
    T, (least, most) = reference_T(space), space.file.keyframes.count
    for of_fifty, growth, last in BLOCKS:
        size = round(of_fifty * T / 50)
        gaps = last if 4 * sum(last) <= T and size > len(last) + 2 else ()
        if least <= size <= min(most, T):
            yield point(space, "starting: whole blocks", ramp(T, size, growth, gaps), T, **{"mixing": "none", **groups})


def learnt(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps of held scores between the steps that Auto-FR's gates leave open, where gates were learnt."""
    T, (least, most) = reference_T(space), space.file.keyframes.count
    if "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    for of_fifty in LEARNT:
        size = round(of_fifty * T / 50)
        for gates in space.gates if least <= size <= min(most, T) else ():
            yield point(space, "starting: Auto-FR", gates.nearest(size), T, **trend(space, 0.0))
