"""FRDiff's own score mixing: jumps early, a ramp, the step's own score late."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, check_bias, check_slope, clip, members


@dataclass(frozen=True, slots=True)
class HardSigmoid(Mixing):
    """FRDiff's score-mixing weight: a clipped line through 1/2 at ``bias``.

    lam[t] = clip((slope * (t / T - bias) + 2) / 4, 0, 1)

    Arguments:
        slope: Steepness, per unit of t / T; positive. The released code uses 30.
        bias: Where lam crosses 1/2, as a fraction of the run, in [0, 1]. The released code uses 0.5.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
        | https://arxiv.org/abs/2312.03517
    """

    slope: float = 30.0
    bias: float = 0.5

    def __post_init__(self) -> None:
        check_slope(self.slope)
        check_bias(self.bias)

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple(clip((self.slope * (t / T - self.bias) + 2) / 4) for t in range(T))

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields the members whose ramp passes through one of the steps."""
        yield from (cls(s, b) for s, b in members(lam, T, lambda value: 4 * value - 2, slope, bias))
