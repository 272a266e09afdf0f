"""The reference's walk: what its scheduler went through in a real call, and policies that walk a part of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Grid, Policy, Sampling, SchedulerInfo, multistep
from frdiff_tune.runtime.schedulers.expansion import first_order_rows, make_multistep
from frdiff_tune.runtime.schedulers.grid import TimeGrid
from frdiff_tune.runtime.solver import scheduler_info


@dataclass(frozen=True, slots=True)
class ReferenceWalk:
    """What the reference's scheduler walks.

    Arguments:
        grid: Every time that the scheduler was set to.
        begin: Index of the first one that the call walked.
        length: Listed times that the call walked.
        num_inference_steps: What the call asked for.
        scheduler: The scheduler.
        mu: Shift of the times, where the pipeline gave one.
    """

    grid: TimeGrid
    begin: int
    length: int
    num_inference_steps: int
    scheduler: SchedulerInfo
    mu: float | None = None

    @property
    def indices(self) -> tuple[int, ...]:
        """Listed times whose states belong to the solution, length T; of a repeated time (Heun, PNDM) the last."""
        times = self.grid.timesteps
        walked = range(self.begin, self.begin + self.length)
        return tuple(i for i in walked if i + 1 not in walked or times[i + 1] != times[i])

    @property
    def T(self) -> int:
        """Steps of the walk."""
        return len(self.indices)

    def part(self, steps: Sequence[int], leading: int = 0) -> TimeGrid:
        """Returns the times that a policy's scheduler is set to.

        Arguments:
            steps: Indices into ``indices``, increasing from 0.
            leading: Times before the first one, which the call passes over (img2img with a strength).
        """
        before = range(self.begin)
        filler = [before[j * len(before) // leading] for j in range(leading)] if leading and len(before) else []
        if len(filler) < leading:
            raise MismatchError(
                f"`leading` must be 0 for a walk that begins at the scheduler's first time but got {leading}. Leave it out."
            )
        after = self.begin + self.length
        follower = [after] if after < len(self.grid.timesteps) else []
        return self.grid.select([*filler, *(self.indices[step] for step in steps), *follower])


def multistep_policy(
    model: Any,  # noqa: ANN401
    walk: ReferenceWalk,
    steps: Sequence[int],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    masks: Mapping[str, str] | None = None,
    variable: str = "sample",
    leading: int = 0,
) -> Policy:
    """Returns the policy that walks some steps of the reference's walk by the first-order solver, to be fitted.

    Arguments:
        model: What ``describe_model(pipe)`` returns.
        walk: The reference's walk.
        steps: Indices into it, increasing from 0; one network call each.
        groups: Group -> site names, of layers that are reused at some steps.
        masks: Group -> T digits, 1 = computes; the first must be 1.
        variable: What predictions are read as: ``sample`` or ``epsilon``.
        leading: Times before the first one, which the call passes over.

    Raises:
        PolicyError: If the steps do not increase from 0 or leave the walk, or a mask breaks a rule.
        MismatchError: If a prediction cannot be read as ``variable`` at some step.
    """
    steps = tuple(steps)
    multistep.check_grid(steps, len(steps), walk.T)
    grid = walk.part(steps, leading)
    scheduler = make_multistep(grid, variable, first_order_rows(grid, variable), walk.scheduler, mu=walk.mu)
    T = len(steps)
    return Policy(
        model=model,
        sampling=Sampling(
            num_inference_steps=len(grid.timesteps),
            T=T,
            scheduler=scheduler_info(scheduler),
            grid=Grid(num_inference_steps=walk.num_inference_steps, T=walk.T, steps=steps, leading=leading),
        ),
        keyframes="1" * T,
        mixing=(1.0,) * T,
        groups={name: tuple(sites) for name, sites in (groups or {}).items()},
        masks=dict(masks or {}),
    )
