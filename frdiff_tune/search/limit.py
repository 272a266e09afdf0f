"""Limits: what a policy must keep to be worth having, as a line of a study file."""

import re
from dataclasses import dataclass
from typing import Self

from frdiff_tune.search.toml_file import nearest

LIMITABLE = ("lpips", "lpips_median", "lpips_p90", "flips")
"""What a limit may name: mean LPIPS, its median, its 90th percentile, and the share of pictures that flipped."""


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper bound on one quality figure.

    Arguments:
        name: One of ``LIMITABLE``.
        bound: The largest value that keeps the limit, in the figure's unit.
    """

    name: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the limit that a line such as ``lpips <= 0.05`` states.

        Raises:
            ValueError: If it states none.
        """
        match = re.fullmatch(r"\s*(\w+)\s*<=\s*([0-9.eE+-]+)\s*", text)
        if match is None:
            raise ValueError(f'must read "name <= number" but got {text!r}. Write "lpips <= 0.05".')
        if match[1] not in LIMITABLE:
            raise ValueError(f"must name a quality figure but got {match[1]!r}. {nearest(match[1], LIMITABLE)}")
        try:
            bound = float(match[2])
        except ValueError:
            raise ValueError(f'must end in a number but got {text!r}. Write "{match[1]} <= 0.05".') from None
        if not 0 <= bound < float("inf"):
            raise ValueError(f'must be a number from 0 on but got {match[2]}. Write "{match[1]} <= 0.05".')
        return cls(match[1], bound)

    def __str__(self) -> str:
        return f"{self.name} <= {self.bound:g}"
