"""Whole blocks that reuse between keyframes dense at both ends, and keyframe sets that Auto-FR learns."""

from collections.abc import Iterator, Sequence

from frdiff_tune.runtime import default_groups
from frdiff_tune.search.space import Space
from frdiff_tune.search.starting.point import StartingPoint, point, reference_T, trend

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
