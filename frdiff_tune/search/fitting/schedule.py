"""The schedule of a fitted policy: full steps, and steps between them at which groups of layers reuse their features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frdiff_tune.policy import Policy
from frdiff_tune.search.fitting.case_fit import CaseFit


@dataclass(frozen=True, slots=True)
class FittedSchedule:
    """Which steps of the reference's walk are walked, and which of them compute in full.

    Arguments:
        steps: Steps of the walk, increasing from 0.
        full: Those at which every group computes, step 0 first.
    """

    steps: tuple[int, ...]
    full: tuple[int, ...]

    @classmethod
    def of(cls, full: Sequence[int], between: int, T: int) -> "FittedSchedule":
        """Returns the schedule with evenly spread reuse steps.

        Arguments:
            full: Full steps, step 0 first.
            between: Reuse steps between two full ones, and after the last one; fewer where there is no room.
            T: Steps of the reference's walk.
        """
        steps: list[int] = []
        for begin, end in zip(full, (*full[1:], T), strict=True):
            count = min(between, end - begin - 1)
            steps += [begin, *(begin + (end - begin) * k // (count + 1) for k in range(1, count + 1))]
        return cls(tuple(steps), tuple(full))

    @property
    def mask(self) -> str:
        """One digit per step that is walked: 1 at full steps."""
        return "".join("1" if step in self.full else "0" for step in self.steps)


def first_order_policy(fit: CaseFit, schedule: FittedSchedule, groups: Mapping[str, Sequence[str]]) -> Policy:
    """Returns the policy of a schedule with first-order weights, to be fitted.

    Arguments:
        fit: What fits.
        schedule: Its steps.
        groups: Group -> site names, of what reuses at steps that are not full; without groups every step is full.
    """
    return fit.policy(schedule.steps, groups=groups, masks=dict.fromkeys(groups, schedule.mask))


def schedule_of(policy: Policy, choices: Sequence[int]) -> tuple[FittedSchedule, int] | None:
    """Returns the schedule of a fitted policy and its reuse steps per gap; None if no such number writes it.

    Arguments:
        policy: The policy.
        choices: Numbers of reuse steps between two full ones.
    """
    grid = policy.sampling.grid
    if grid is None or len(set(policy.masks.values())) > 1:
        return None
    mask = next(iter(policy.masks.values()), "1" * policy.T)
    full = [step for step, digit in zip(grid.steps, mask, strict=True) if digit == "1"]
    for between in choices:
        schedule = FittedSchedule.of(full, between, grid.T)
        if schedule.steps == grid.steps:
            return schedule, between
    return None
