"""Fewer steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any

from benchmarks.keyframe_sets import EXACT
from benchmarks.kinds._base import Kind, network_cost
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy
from frdiff_tune.search.solvers import runnable

SPACINGS = ("trailing", "leading", "linspace")


@dataclass(frozen=True)
class FewerSteps(Kind):
    """Fewer steps by one solver; its shapes are the spacings.

    Arguments:
        pipe: The pipeline.
        T: Steps of the reference.
        group: Class name of the solver.
    """

    family = "fewer steps"
    pipe: Any
    T: int
    group: str
    order: None = None

    def cost(self, policy: Policy) -> float:
        """Returns the network cost: every step computes."""
        return network_cost(policy, 1.0, self.T)

    def policies(self, cost: float) -> Iterator[tuple[str, Policy]]:
        """Yields the step count by every spacing."""
        for label, solver in runnable(self.pipe, [self.group], SPACINGS).items():
            yield label.partition("/")[2], full_policy(self.pipe, floor(cost * self.T + EXACT), scheduler=solver)

    def least(self) -> float:
        """Returns the cost of one step."""
        return 1 / self.T
