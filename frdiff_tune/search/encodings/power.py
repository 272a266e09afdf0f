"""Keyframes by a power law of the step, and short gaps at the end."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.search.encodings._base import Bounds, Encoding, Numbers, Parameters

Grid = NDArray[np.int64]


class Power(Encoding):
    """``count`` keyframes of which keyframe i of the first n lies at T' (i / n)^exponent.

    Exponent 1 spreads them evenly, a greater one makes them dense early, a smaller one dense late. The last ``last`` gaps are
    last, ..., 2, 1: what is skipped at the very end is a small error of every picture. They begin at T'; n is count - last.

    References:
        | DeepCache: Accelerating Diffusion Models for Free (Ma et al., 2023), section 4.3, which spreads them by a power, too
        | https://arxiv.org/abs/2312.00858
    """

    @cached_property
    def parameters(self) -> dict[str, Numbers]:
        """Keyframes, the exponent, and short gaps at the end."""
        least, most = self.bounds.count
        most = min(most, max(self.bounds.longest, least))
        return {
            "count": Numbers(least, most - (most - least) % self.bounds.count_grid, step=self.bounds.count_grid),
            "exponent": Numbers(*self.bounds.exponent, step=self.bounds.exponent_grid),
            "last": Numbers(*self.bounds.last, step=self.bounds.last_grid),
        }

    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns the keyframes; where they do not fit into the run, there are as many as do."""
        last = (int(params["last"]) - self.bounds.last[0]) // self.bounds.last_grid
        place = round((params["exponent"] - self.bounds.exponent[0]) / self.bounds.exponent_grid)
        return tuple(int(t) for t in _grid(self.bounds, int(params["count"]), T)[last, place] if t < T)

    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        """Returns the numbers that decode to this set, or to the one that is nearest to it step by step."""
        numbers = self.parameters
        count = int(numbers["count"].nearest(len(keyframes)))
        grid = _grid(self.bounds, count, T)
        wanted = np.array([*keyframes, *[T] * count][:count])
        last, place = (int(i) for i in np.unravel_index(np.abs(grid - wanted).sum(-1).argmin(), grid.shape[:2]))
        exponent = numbers["exponent"].low + place * self.bounds.exponent_grid
        return {"count": count, "exponent": round(exponent, 6), "last": self.bounds.last[0] + last * self.bounds.last_grid}


@lru_cache(maxsize=512)
def _grid(bounds: Bounds, count: int, T: int) -> Grid:
    """Returns the keyframes of every ``last`` and exponent, T where there is none, with shape (last, exponent, count)."""
    low, high = bounds.exponent
    exponents = low + np.arange(round((high - low) / bounds.exponent_grid) + 1) * bounds.exponent_grid
    endings = range(bounds.last[0], bounds.last[1] + 1, bounds.last_grid)
    found = np.full((len(endings), len(exponents), count), T)
    for i, last in enumerate(endings):
        gaps = list(range(last, 0, -1)) if last < count and last * (last + 1) // 2 < T else []
        begin = T - sum(gaps)
        n = min(count - len(gaps), begin)
        steps = np.arange(n)
        raw = np.rint(begin * (steps / n) ** exponents[:, None]).astype(int)
        later = np.maximum.accumulate(raw - steps, axis=1) + steps  # each at least one after the one before
        found[i, :, :n] = np.minimum(later, begin - n + steps)  # and all of them before the short gaps
        found[i, :, n : n + len(gaps)] = begin + np.cumsum([0, *gaps[:-1]]) if gaps else T
    return found
