"""Limits: what a policy must keep to be worth having, as a line of a study file."""

import re
from dataclasses import dataclass
from typing import Self

from frdiff_tune.measure import Interval
from frdiff_tune.search.cost_figure import better, check_bounded

SIGNS = {"lower": "<=", "higher": ">="}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one figure: from above, or from below where higher values are better.

    Arguments:
        name: A figure's name, as ``lpips``, ``flips``, ``psnr_p90``, ``speedup`` or ``cache_mib``.
        bound: The worst value that keeps the limit, in the figure's unit.
    """

    name: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the limit that a line such as ``lpips <= 0.05`` or ``psnr >= 30`` states.

        Raises:
            ValueError: If it states none.
        """
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([0-9.eE+-]+)\s*", text)
        if match is None:
            raise ValueError(f'must read "name <= number" or "name >= number" but got {text!r}. Write "lpips <= 0.05".')
        name, sign, number = match.groups()
        check_bounded(name)
        if sign != (right := SIGNS[better(name)]):
            raise ValueError(f'must bound {name} on its worse side but got {text!r}. Write "{name} {right} {number}".')
        try:
            bound = float(number)
        except ValueError:
            raise ValueError(f'must end in a number but got {text!r}. Write "{name} {right} 0.05".') from None
        if not (0 if right == "<=" else float("-inf")) <= bound < float("inf"):
            raise ValueError(f'must be a number from 0 on but got {number}. Write "{name} {right} 0.05".')
        return cls(name, bound)

    @property
    def upper(self) -> bool:
        """Whether larger values break it."""
        return better(self.name) == "lower"

    def excess(self, value: float) -> float:
        """Returns by how much a value is beyond the bound; 0 or less if it keeps the limit."""
        return value - self.bound if self.upper else self.bound - value

    def worst(self, figure: Interval) -> float:
        """Returns the end of a figure's interval that is nearer to breaking the limit."""
        return figure.high if self.upper else figure.low

    def share_beyond(self, figure: Interval) -> float:
        """Returns by how much a figure's worse end is beyond the bound, as a share of it; 0 if it keeps the limit."""
        return max(self.excess(self.worst(figure)), 0.0) / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        short = f"{self.bound:g}"
        number = short if float(short) == self.bound else repr(self.bound).removesuffix(".0")
        return f"{self.name} {'<=' if self.upper else '>='} {number}"
