"""Features given back between keyframes, held or forecast."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.keyframe_sets import keyframe_sets, most_keyframes
from benchmarks.kinds._base import Kind, network_cost
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Taylor, forecast_features, keyframe_policy


@dataclass(frozen=True)
class Features(Kind):
    """Groups of sites given back between keyframes, held or by their Taylor expansion.

    Arguments:
        pipe: The pipeline.
        T: Steps of the reference.
        names: The groups.
        order: Of the expansion; 0 holds.
        reuse: What a step costs that gives them back, as a share of a full step.
    """

    family = "features"
    pipe: Any
    T: int
    names: tuple[str, ...]
    order: int
    reuse: float

    @property
    def group(self) -> str:  # type: ignore[override]
        """The groups, joined."""
        return " + ".join(self.names)

    def cost(self, policy: Policy) -> float:
        """Returns the network cost."""
        return network_cost(policy, self.reuse, self.T)

    def policies(self, cost: float) -> Iterator[tuple[str, Policy]]:
        """Yields every shape of the most keyframes that fit."""
        for shape, keyframes in keyframe_sets(self.T, most_keyframes(self.T, self.reuse, cost)).items():
            yield shape, reusing(self.pipe, self.T, keyframes, self.names, self.order)

    def least(self) -> float:
        """Returns the cost of two keyframes."""
        return (2 + (self.T - 2) * self.reuse) / self.T


def reusing(pipe: Any, steps: int, keyframes: tuple[int, ...], names: tuple[str, ...], order: int) -> Policy:  # noqa: ANN401
    """Returns the policy that computes groups at keyframes and gives them back elsewhere.

    Arguments:
        pipe: The pipeline.
        steps: Step count.
        keyframes: Steps that compute everything.
        names: The groups.
        order: Of the Taylor expansion; 0 holds.
    """
    held = keyframe_policy(pipe, steps, keyframes, 1.0, groups=names)
    return forecast_features(held, Taylor(order)) if order else held
