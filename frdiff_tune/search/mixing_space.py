"""The lam families of a space: their parameters, decoded and found again."""

from collections.abc import Iterator, Mapping
from typing import Any

from frdiff_tune.policy.mixing import BIAS_STEP, KNOT_STEP, KNOTS, MIXING, Mixing, round_bias, round_slope
from frdiff_tune.search.space_file import MixingSection

SLOPED = ("hard_sigmoid", "sigmoid")
BIASED = ("hard_sigmoid", "sigmoid", "linear", "cosine", "step")
KNOTTED = tuple(f"mixing.knot_{i}" for i in range(KNOTS))


class MixingSpace:
    """Which lam families a space has, and how their parameters are written.

    Arguments:
        section: The families and the bounds of their slope and bias.
    """

    def __init__(self, section: MixingSection) -> None:
        self.section = section
        self.families = section.families

    @property
    def parameters(self) -> dict[str, tuple[float, float, float | None]]:
        """Name -> least value, greatest value and step; a step of None means the log scale."""
        found: dict[str, tuple[float, float, float | None]] = {}
        if set(self.families) & set(SLOPED):
            found["mixing.slope"] = (*self.section.slope, None)
        if set(self.families) & set(BIASED):
            found["mixing.bias"] = (*self.section.bias, BIAS_STEP)
        if "piecewise" in self.families:
            found |= dict.fromkeys(KNOTTED, (0.0, 1.0, KNOT_STEP))
        return found

    def decode(self, params: Mapping[str, Any]) -> Mixing:
        """Returns the family's member, its numbers on the grid."""
        family = params["mixing"]
        if family == "piecewise":
            knots = tuple(round(round(params[name] / KNOT_STEP) * KNOT_STEP, 2) for name in KNOTTED)
            return MIXING[family](knots)  # type: ignore[call-arg]
        numbers = {}
        if family in SLOPED:
            low, high = self.section.slope
            numbers["slope"] = min(max(round_slope(params["mixing.slope"]), low), high)
        if family in BIASED:
            numbers["bias"] = round_bias(params["mixing.bias"])
        return MIXING[family](**numbers)

    def encode(self, lam: Mapping[int, float], T: int) -> Iterator[dict[str, Any]]:
        """Yields parameters of members that give these weights, by family, idle parameters in their middle.

        Arguments:
            lam: Weight per step that is no keyframe.
            T: Denoiser steps of the run.
        """
        for family in self.families:
            member = MIXING[family].fit(lam, T, slope=self.section.slope, bias=self.section.bias)
            if member is not None:
                yield {"mixing": family, **self.idle, **self._numbers(member)}

    @property
    def idle(self) -> dict[str, float]:
        """Values of the parameters for families that do not use them: FRDiff's own where they are within bounds."""
        own = {"mixing.slope": 30.0, "mixing.bias": 0.5}
        return {name: min(max(own.get(name, 0.5), low), high) for name, (low, high, _) in self.parameters.items()}

    def _numbers(self, member: Mixing) -> dict[str, float]:
        if knots := getattr(member, "knots", ()):
            return dict(zip(KNOTTED, knots, strict=True))
        named = {f"mixing.{name}": getattr(member, name, None) for name in ("slope", "bias")}
        return {name: value for name, value in named.items() if value is not None}
