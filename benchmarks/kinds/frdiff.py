"""The paper's schedule."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.keyframe_sets import EXACT
from benchmarks.kinds._base import Kind, network_cost
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import frdiff_policy


@dataclass(frozen=True)
class FRDiff(Kind):
    """FRDiff's uniform schedule in the groups of the paper.

    Arguments:
        pipe: The pipeline.
        T: Steps of the reference.
        group: ``score mixing`` or ``pure reuse``.
        reuse: What a step costs that reuses the paper's groups, as a share of a full step.
    """

    family = "FRDiff"
    pipe: Any
    T: int
    group: str
    reuse: float
    order: int = 0

    def cost(self, policy: Policy) -> float:
        """Returns the network cost; score mixing jumps where lam is 0."""
        return network_cost(policy, self.reuse, self.T)

    def policies(self, cost: float) -> Iterator[tuple[str, Policy]]:
        """Yields the interval that costs most and at most ``cost``."""
        fitting = [(found, -every) for every in self._intervals() if (found := self.cost(self._every(every))) <= cost + EXACT]
        if fitting:
            every = -max(fitting)[1]
            yield f"every {every}", self._every(every)

    def least(self) -> float:
        """Returns the cost of the cheapest interval."""
        return min(self.cost(self._every(every)) for every in self._intervals())

    def _intervals(self) -> range:
        return range(2, self.T // 2 + 1)  # two keyframes at least

    def _every(self, interval: int) -> Policy:
        return frdiff_policy(self.pipe, self.T, interval, score_mixing=self.group == "score mixing")
