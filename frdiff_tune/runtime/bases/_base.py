"""What a basis is: from the steps that are kept to their weights at a later step."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.forecast import float32


class Basis(ABC):
    """A linear forecast: the feature of step t is a weighted sum of those of the last computing steps."""

    @property
    @abstractmethod
    def nodes(self) -> int:
        """How many computing steps it weighs at most; so many times a group's features are kept."""

    @abstractmethod
    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns the weights of the computing steps ``steps``, newest first, at step ``t`` of ``T``."""

    def __call__(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns weights, newest first, rounded to float32; with too few steps the order is lower.

        Arguments:
            steps: Computing steps before ``t``, newest first, at least one.
            t: The step that is forecast.
            T: Steps of the run.
        """
        return tuple(map(float32, self.weights(steps[: self.nodes], t, T)))


@dataclass(frozen=True, slots=True)
class Polynomial(Basis):
    """A basis of as many computing steps as fix a polynomial.

    Arguments:
        order: Degree, from 0 (hold) to 4.
    """

    order: int = 1

    def __post_init__(self) -> None:
        check_order(self.order)

    @property
    def nodes(self) -> int:
        """One more than the order."""
        return self.order + 1


def check_order(order: Any, most: int = 4) -> None:  # noqa: ANN401
    """Checks the order of a polynomial.

    Raises:
        PolicyError: If it is no whole number from 0 to ``most``.
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= most:
        raise PolicyError(f"`order` must be a whole number from 0 to {most} but got {order!r}. Use 0 to hold, 1 for a trend.")


def derivatives(steps: Sequence[int], order: int) -> list[list[float]]:
    """Returns how the derivatives at the newest step weigh the kept features: row i is the i-th derivative, in units of steps.

    The i-th derivative at a step is the difference of the (i-1)-th there and at the computing step before, divided by the
    distance of the two, as a cache that is updated at every computing step has it.

    Arguments:
        steps: Computing steps, newest first.
        order: The highest derivative; lower where there are too few steps.

    References:
        | From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers (Liu et al., 2025)
        | https://arxiv.org/abs/2503.06923
    """
    count = len(steps)
    rows = [[1.0 if j == k else 0.0 for j in range(count)] for k in range(count)]  # the feature itself at each step
    found = [rows[0]]
    for _ in range(min(order, count - 1)):
        rows = [
            [(a - b) / (steps[k] - steps[k + 1]) for a, b in zip(rows[k], rows[k + 1], strict=True)]
            for k in range(len(rows) - 1)
        ]
        found.append(rows[0])
    return found
