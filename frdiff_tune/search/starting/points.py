"""All starting points of a study, the most promising of each kind first, and all kinds in turn."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from frdiff_tune.search.space import Space
from frdiff_tune.search.starting.fitted import fitted
from frdiff_tune.search.starting.known import aligned, fewer, frdiff, full, jumps
from frdiff_tune.search.starting.own import blocks, learnt
from frdiff_tune.search.starting.point import StartingPoint

SHARE = 0.45
"""Of a study's trials at most so many are starting points."""
MOST = 40
"""Starting points of a study without a number of trials."""
AUTOFR = "autofr"
"""The kind for which gates are learnt before the first trial; never one of a study that does not name it."""
TURNS = ("fitted", "fewer-steps", "frdiff", "fitted", "fewer-steps", "fitted", "jump", "blocks", "timestep-lists", AUTOFR)
"""Whose turn it is, over and over: fitted steps come three times, fewer steps twice."""
KNOWN_KINDS = ("fewer-steps", "frdiff", "jump", "blocks")
"""What is measured beside a sampler that finds good keyframe sets by itself."""
KINDS: dict[str, Callable[[Space], Iterator[StartingPoint]]] = {
    "fitted": fitted,
    "blocks": blocks,
    "fewer-steps": fewer,
    "frdiff": frdiff,
    "jump": jumps,
    "timestep-lists": aligned,
    AUTOFR: learnt,
}
"""What a study may list as ``starting_points``."""


def starting_points(
    space: Space, trials: int | None = None, kinds: Sequence[str] = TURNS, share: float = SHARE
) -> tuple[StartingPoint, ...]:
    """Returns the first trials of a study, the most promising of each kind first, and all kinds in turn.

    Policies outside the space are left out, and so is what repeats another one.

    Arguments:
        space: The space on its pipeline.
        trials: Trials of the study; None: there are at most 40 starting points.
        kinds: Which kinds; the full policy is always among them.
        share: Of the trials at most so many are starting points.
    """
    count = MOST if trials is None else min(int(share * trials), MOST)
    return tuple(islice(_distinct(space, _interleaved(space, kinds)), count))


def _interleaved(space: Space, wanted: Sequence[str]) -> Iterator[StartingPoint]:
    kinds = {name: make(space) for name, make in KINDS.items() if name in wanted}
    yield from full(space)
    while kinds:
        for turn in TURNS:
            point = next(kinds.get(turn, iter(())), None)
            if point is None:
                kinds.pop(turn, None)
            else:
                yield point


def _distinct(space: Space, points: Iterator[StartingPoint]) -> Iterator[StartingPoint]:
    seen: set[tuple[str, str]] = set()
    for point in points:
        if space.holds(point.params):
            what = space.identity(point.params), space.capture(point.params)
            if what not in seen:
                seen.add(what)
                yield point
