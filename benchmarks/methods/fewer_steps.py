"""Fewer steps by a solver of diffusers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.methods._base import Method, Setting
from frdiff_tune.errors import SpaceError
from frdiff_tune.runtime import full_policy
from frdiff_tune.search.solvers import runnable
from frdiff_tune.search.study import Study

SPACINGS = ("trailing", "leading", "linspace")


@dataclass(frozen=True)
class FewerSteps(Method):
    """Every step computes; the spacing of the timesteps is chosen.

    Arguments:
        solver: Class name of a diffusers scheduler.
    """

    solver: str

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields a policy per spacing; none where the pipeline cannot run the solver."""
        try:
            solvers = runnable(pipe, [self.solver], SPACINGS)
        except SpaceError:  # DiTPipeline does not scale its noise for Euler
            return
        for label, solver in solvers.items():
            yield label.partition("/")[2], full_policy(pipe, calls, scheduler=solver)
