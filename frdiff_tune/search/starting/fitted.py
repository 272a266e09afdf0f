"""Fitted steps to begin with: dense at both ends, best by dynamic programming and evenly spaced."""

from collections.abc import Iterator

from frdiff_tune.search.fitting.grids import cosine, spread
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import FITTED
from frdiff_tune.search.starting.point import StartingPoint, point

COUNTS = (0.2, 0.12, 0.32, 0.16, 0.08, 0.24)
"""Network calls, as shares of the reference's."""


def fitted(space: Space) -> Iterator[StartingPoint]:
    """Yields fitted steps; nothing where the space fits none."""
    if space.fitted is None:
        return
    T, (least, most) = space.fitted.T, space.file.keyframes.count
    for place in range(3):
        for share in COUNTS:
            count = max(round(share * T), 1)
            grids = (
                cosine(count, T),
                space.foresight.errors.sets(space.reference_steps, FITTED, "sample", 1).get(count, (0,)),
                [i * (T - 1) / max(count - 1, 1) for i in range(count)],
            )
            if least <= count <= most and len(grids[place]) == count:
                yield point(space, "starting: fitted", spread(grids[place], T), T, scheduler=FITTED)
