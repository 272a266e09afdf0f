"""What a kind of acceleration is, and what its policies cost."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from benchmarks.keyframe_sets import EXACT
from frdiff_tune.policy import Policy


def network_cost(policy: Policy, reuse: float, T: int) -> float:
    """Returns a policy's network cost, as a share of the reference's.

    Arguments:
        policy: The policy.
        reuse: What a step that reuses the policy's groups costs, as a share of a full step.
        T: Steps of the reference.
    """
    return sum(reuse if step.reuses else 1.0 for step in policy.plan() if step.calls) / T


class Kind(ABC):
    """One way to make a run cheaper.

    Attributes:
        family: ``fewer steps``, ``FRDiff``, ``jumps`` or ``features``.
        group: Which of the family: a solver, groups of sites.
        order: Of the forecast; None where nothing is forecast.
    """

    family: ClassVar[str]
    group: str
    order: int | None

    @abstractmethod
    def cost(self, policy: Policy) -> float:
        """Returns the network cost of one of its policies, as a share of the reference's."""

    @abstractmethod
    def policies(self, cost: float) -> Iterator[tuple[str, Policy]]:
        """Yields its schedules near a network cost, each with the name of its shape."""

    @abstractmethod
    def least(self) -> float:
        """Returns the network cost of its cheapest schedule."""

    def within(self, cost: float) -> dict[str, Policy]:
        """Returns its schedules that cost at most ``cost``, by shape; none where it is out of reach."""
        return {shape: policy for shape, policy in self.policies(cost) if self.cost(policy) <= cost + EXACT}
