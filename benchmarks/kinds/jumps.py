"""Jumps: the score is forecast."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.keyframe_sets import keyframe_sets, most_keyframes
from benchmarks.kinds._base import Kind, network_cost
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy


@dataclass(frozen=True)
class Jumps(Kind):
    """No network call between keyframes: the score is forecast in the scheduler's time.

    Arguments:
        pipe: The pipeline.
        T: Steps of the reference.
        order: Of the extrapolation; 0 holds.
    """

    family = "jumps"
    pipe: Any
    T: int
    order: int
    group: str = "score"

    def cost(self, policy: Policy) -> float:
        """Returns the network cost: only keyframes count."""
        return network_cost(policy, 0.0, self.T)

    def policies(self, cost: float) -> Iterator[tuple[str, Policy]]:
        """Yields every shape of the most keyframes that fit."""
        for shape, keyframes in keyframe_sets(self.T, most_keyframes(self.T, 0.0, cost)).items():
            yield shape, keyframe_policy(self.pipe, self.T, keyframes, 0.0, order=self.order, variable="epsilon")

    def least(self) -> float:
        """Returns the cost of two keyframes."""
        return 2 / self.T
