"""The acquisition of guided search: models of what is measured, the front, and the gain that is expected of candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.runtime import Capture
from frdiff_tune.search.aim import Aim
from frdiff_tune.search.foresight import (
    LatencyModel,
    Outline,
    QualityModel,
    expected_gain,
    gain_in_loss,
    gain_in_time,
)
from frdiff_tune.search.space_file import Params

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

Array = NDArray[np.float64]
What = tuple[Outline, Capture]

LEARNT = 128
"""Trials that the model of distances learns from at most, and that the front is looked for among: those nearest to it."""
NODES = ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6))
"""Where a foreseen latency is tried, in standard deviations, and how much it counts: Gauss and Hermite's rule of three."""
EXPLOITING = 0.2
"""Greatest deviation, in decades, where what is surely close enough is wanted; other proposals explore."""
FASTEST = 0.01
"""Nothing is foreseen to take less of the reference's time."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial of which something is measured."""

    what: What
    loss: float
    ratio: float
    within: bool


class Acquisition:
    """Models of what is measured, and the front.

    The front's times are the model's, which knows all trials: of single timings the front would hold the lucky ones.

    Arguments:
        space: The study's space.
        aim: What is wanted.
        seen: Trials of which something is measured.
        elsewhere: Policies -> losses that another machine measured.
        pending: What other running trials try; it counts as if it came out as foreseen.
        slowest: The greatest latency that counts, over the reference's.
    """

    def __init__(
        self,
        space: "Space",
        aim: Aim,
        seen: Sequence[Observation],
        elsewhere: Mapping[Outline, float],
        pending: Sequence[What],
        slowest: float,
    ) -> None:
        self.aim, losses = aim, [each.loss for each in seen]
        worst = max(losses, default=0.0) if self.aim.worst_loss is None else self.aim.worst_loss
        self.corner = worst, slowest
        self.errors = errors = space.foresight.errors
        some = _nearest(seen)
        pairs = [(each.what[0], each.loss) for each in some]
        here = {outline for outline, _ in pairs}
        pairs += [(outline, loss) for outline, loss in elsewhere.items() if outline not in here]
        self.quality = QualityModel(errors.names, [errors(outline) for outline, _ in pairs], [loss for _, loss in pairs])
        T = space.full(space.reference_steps, errors.own).T
        names = tuple(space.groups), errors.solvers, T
        by_launch = {capture: [each for each in seen if each.what[1] == capture] for capture in space.captures}
        self.latency = {
            capture: LatencyModel(*names, [each.what[0] for each in own], [each.ratio for each in own])
            for capture, own in by_launch.items()
        }
        within = [each for each in some if each.within]
        times = self._latency([each.what for each in within])[0].tolist()
        self.points = [(each.loss, ratio) for each, ratio in zip(within, times, strict=True)]
        self.front = _front([each.what for each in within], self.points)
        if pending:
            mean, _ = self.quality([errors(outline) for outline, _ in pending])
            self.points += zip(mean.tolist(), self._latency(pending)[0].tolist(), strict=True)

    def gains(self, some: Sequence[What]) -> Array:
        """Returns the expected gain of each."""
        if not some:
            return np.zeros(0)
        mean, deviation = self.quality([self.errors(outline) for outline, _ in some])
        deviation = np.minimum(deviation, EXPLOITING) if self.aim.surely else deviation
        latency, unsure = self._latency(some)
        found = np.zeros(len(some))
        for place, weight in NODES:
            found += weight * self._gains(np.maximum(latency + place * unsure, FASTEST), mean, deviation)
        return found

    def _gains(self, latency: Array, mean: Array, deviation: Array) -> Array:
        if self.aim.fast and self.aim.close:
            return expected_gain(self.points, latency, mean, deviation, self.corner, self.aim.floor)
        if self.aim.fast:
            fastest = min((ratio for loss, ratio in self.points if loss <= self.corner[0]), default=None)
            return gain_in_time(latency, mean, deviation, self.corner, fastest)
        closest = min((loss for loss, _ in self.points), default=None)
        return gain_in_loss(latency, mean, deviation, self.corner, closest, self.aim.floor)

    def _latency(self, some: Sequence[What]) -> tuple[Array, Array]:
        """Returns latency over the reference's, and its standard deviation."""
        found, unsure = np.zeros(len(some)), np.zeros(len(some))
        for capture, model in self.latency.items():
            at = [i for i, (_, own) in enumerate(some) if own == capture]
            if at:
                found[at], unsure[at] = model([some[i][0] for i in at])
        return found, unsure


def ranked(acquisition: Acquisition, candidates: Mapping[What, Params], known: set[What]) -> dict[What, Params]:
    """Returns the candidates that are new, the greatest expected gain first."""
    new = [each for each in candidates if each not in known]
    return {new[i]: candidates[new[i]] for i in np.argsort(-acquisition.gains(new), kind="stable")}


def _nearest(seen: Sequence[Observation]) -> Sequence[Observation]:
    """Returns the trials whose loss is least above the best that is no slower, at most ``LEARNT``."""
    if len(seen) <= LEARNT:
        return seen
    above, best = [], float("inf")
    for each in sorted(seen, key=lambda each: (each.ratio, each.loss)):
        best = min(best, each.loss)
        above.append((each.loss - best, each))
    return [each for _, each in sorted(above, key=lambda pair: pair[0])[:LEARNT]]


def _front(some: Sequence[What], points: Sequence[tuple[float, float]]) -> list[What]:
    """Returns what lies on the front, given loss and latency of each."""
    found: list[What] = []
    best = float("inf")
    for each, (loss, _) in sorted(zip(some, points, strict=True), key=lambda pair: pair[1][::-1]):
        if loss < best:
            best = loss
            found.append(each)
    return found


