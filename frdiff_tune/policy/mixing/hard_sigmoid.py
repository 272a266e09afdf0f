"""FRDiff's own score mixing: jumps early, a ramp, the step's own score late."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, biases, check_bias, check_slope, clip, inside, slopes


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
        """Yields one member per bias: the slope follows from a step on the ramp; without one the steepest do."""
        seen = inside(lam)
        for b in biases(bias):
            steep = (slope[1],) if seen is None else slopes(4 * seen[1] - 2, seen[0] / T, b, slope)
            yield from (cls(s, b) for s in steep)
            if seen is not None and seen[1] == 0.5 and seen[0] / T == b:
                yield cls(slope[1], b)
