"""Keyframes at three intervals: one early, one in the middle, one late."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from frdiff_tune.search.encodings._base import Encoding, Numbers, Parameters

GRID = 20
"""Borders are multiples of so small a part of the run."""


class Phases(Encoding):
    """After keyframe t comes t + the interval of the phase that t / T lies in: before border_1, before border_2, or later.

    Borders that are the wrong way round are swapped.
    """

    @cached_property
    def parameters(self) -> dict[str, Numbers]:
        """Three intervals in steps, and two borders as fractions of the run."""
        interval, border = Numbers(*self.bounds.interval), Numbers(0.0, 1.0, step=1 / GRID)
        names = "interval_early", "interval_middle", "interval_late"
        return {**dict.fromkeys(names, interval), "border_1": border, "border_2": border}

    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns the keyframes that the intervals lead to."""
        intervals = [int(params[f"interval_{phase}"]) for phase in ("early", "middle", "late")]
        ends = [round(border * GRID) for border in sorted((params["border_1"], params["border_2"]))]
        keyframes = [0]
        while True:
            t = keyframes[-1]
            t += intervals[sum(GRID * t >= end * T for end in ends)]
            if t >= T:
                return tuple(keyframes)
            keyframes.append(t)

    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        """Returns the numbers that decode to this set, or to one near it: with the mean intervals of the run's thirds."""
        return self._exact(keyframes, T) or self._near(keyframes, T)

    def _exact(self, keyframes: Sequence[int], T: int) -> dict[str, float] | None:
        low, high = self.bounds.interval
        runs: list[tuple[int, int]] = []  # (interval, first keyframe that has it)
        for t, following in pairwise((*keyframes, T)):
            ended = following == T and runs and low <= T - t <= runs[-1][0]
            if not ended and (not runs or runs[-1][0] != following - t):
                runs.append((following - t if following < T else max(following - t, low), t))
        if not 1 <= len(runs) <= 3 or any(not low <= interval <= high for interval, _ in runs):
            return None
        borders: list[float] = []
        for _, first in runs[1:]:
            before = keyframes[list(keyframes).index(first) - 1]
            border = GRID * before // T + 1  # the first beyond the keyframe before
            if border * T > GRID * first:
                return None
            borders.append(round(border / GRID, 2))
        intervals = [interval for interval, _ in runs]
        return self._named([*intervals, *[intervals[-1]] * (3 - len(intervals))], [*borders, 1.0, 1.0][:2])

    def _near(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        low, high = self.bounds.interval
        thirds = [sum(i * T <= 3 * t < (i + 1) * T for t in keyframes) for i in range(3)]
        return self._named([min(max(round(T / 3 / max(count, 1)), low), high) for count in thirds], [0.35, 0.65])

    def _named(self, intervals: Sequence[int], borders: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.parameters, (*intervals, *borders), strict=True))
