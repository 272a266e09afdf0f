"""Steps that fits have in common: two grids with the same first times lead to the same states up to where they part."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frdiff_tune.search.fitting.step_solver import StepWeights

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 2**30
"""Memory that cached steps take at most."""


@dataclass(frozen=True, slots=True)
class SolvedStep:
    """A step that was solved.

    Arguments:
        row: Its weights.
        state: Where it leads, with shape (cases, ...).
        history: Predictions up to it, newest first.
    """

    row: StepWeights
    state: "Tensor"
    history: "list[Tensor]"

    @property
    def nbytes(self) -> int:
        """Bytes of the state and the newest prediction; older ones are shared with earlier steps."""
        return int(self.state.nbytes + self.history[0].nbytes)


class PrefixCache:
    """Solved steps by the times that lead to them; the least recently used go first.

    Arguments:
        max_bytes: What they take at most.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._steps: OrderedDict[tuple[int, ...], SolvedStep] = OrderedDict()

    def steps(self, grid: Sequence[int]) -> list[SolvedStep]:
        """Returns the solved steps that a grid begins with; never its last, whose states a fit reports."""
        prefix: list[SolvedStep] = []
        for t in range(len(grid) - 1):
            key = tuple(grid[: t + 2])
            if key not in self._steps:
                break
            self._steps.move_to_end(key)
            prefix.append(self._steps[key])
        return prefix

    def put(self, grid: Sequence[int], t: int, step: SolvedStep) -> None:
        """Keeps step ``t`` of a grid, which leads to the grid's next time; the last one leads to the end and is not kept."""
        key = tuple(grid[: t + 2])
        if t + 1 < len(grid) and key not in self._steps:
            self._steps[key] = step
            self._bytes += step.nbytes
            while self._bytes > self._max_bytes and len(self._steps) > 1:
                self._bytes -= self._steps.popitem(last=False)[1].nbytes
