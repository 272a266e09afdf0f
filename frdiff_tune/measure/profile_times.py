"""The timed half of a profile: all courses in turn, round by round, and what the rounds agree on."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

import torch

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.interval import Interval
from frdiff_tune.measure.latency import Arguments
from frdiff_tune.measure.median import median_interval
from frdiff_tune.measure.profile_courses import AFTER, FULL, JUMP, MIX, QUADRATIC, Course, Courses, ReuseRow, Sites
from frdiff_tune.measure.profile_file import Combination, Costs
from frdiff_tune.measure.profile_steps import Steps, timed
from frdiff_tune.policy import Figure
from frdiff_tune.runtime import Capture

BETWEEN = 4  # courses from one bare run to the next
Series = dict[tuple[str, str], list[float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All courses of a profile.

    Arguments:
        reuse: Courses that reuse, with their rows.
        solvers: Class name of a solver -> its course of jumps, the pipeline's own first.
        extrapolated: Jumps whose scores are extrapolated.
        converted: Jumps whose scores are in another variable; None if there is no other.
        mixing: Steps that mix.
        bare: Step count of the bare run.
    """

    reuse: tuple[tuple[Course, tuple[ReuseRow, ...]], ...]
    solvers: Mapping[str, Course]
    extrapolated: Course
    converted: Course | None
    mixing: Course
    bare: int

    @classmethod
    def of(cls, courses: Courses, groups: Mapping[str, Sites], solvers: Sequence[str]) -> "Plan":
        """Returns the courses of some groups and solvers."""
        return cls(
            reuse=(*courses.reuse(groups), *courses.nested(groups)),
            solvers=courses.solvers(solvers),
            extrapolated=courses.extrapolated(),
            converted=courses.converted(),
            mixing=courses.mixing(),
            bare=courses.bare(),
        )

    @property
    def courses(self) -> tuple[Course, ...]:
        """All of them."""
        converted = () if self.converted is None else (self.converted,)
        return (*(course for course, _ in self.reuse), *self.solvers.values(), self.extrapolated, *converted, self.mixing)


@dataclass(slots=True)
class Times:
    """What rounds of courses took.

    Arguments:
        plan: The courses.
        step_ms: A step of the bare pipeline, a value per round.
        outside_ms: The bare pipeline's call outside its steps, a value per round.
        full: A full step under a policy over one of the bare pipeline, a value per round.
        shares: (course, kind of step) -> its time over that of the full steps nearest to it, a value per step of that kind.
    """

    plan: Plan
    step_ms: list[float] = field(default_factory=list)
    outside_ms: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    shares: Series = field(default_factory=dict)

    def take(self, bare: Sequence[Steps], runs: Sequence[tuple[Course, Steps]]) -> None:
        """Adds a round."""
        step_ms = median(ms for run in bare for ms in run.steps[1:])
        others = [course.name for course in list(self.plan.solvers.values())[1:]]  # their steps take their solver's time
        full = [run.steps[t] for course, run in runs if course.name not in others for t in course.rows[FULL]]
        self.step_ms.append(step_ms)
        self.outside_ms.append(median(run.total - sum(run.steps) + run.steps[0] for run in bare) - step_ms)
        self.full.append(median(full) / step_ms)
        for course, run in runs:
            for name, at in course.rows.items():
                whole = [t for t in course.rows[FULL] if name != FULL]
                self.shares.setdefault((course.name, name), []).extend(share(run.steps, t, whole) for t in at)

    def _of(self, course: Course, row: str) -> list[float]:
        return self.shares[course.name, row]

    def costs(self) -> Costs:
        """Returns what a call takes beside what can be reused."""
        step_ms = median_interval(self.step_ms)
        call_ms = median_interval(self.full) * step_ms.value
        own = self._of(next(iter(self.plan.solvers.values())), JUMP)
        curved = [(a - b) / QUADRATIC for a, b in zip(self._of(self.plan.extrapolated, JUMP), own, strict=False)]
        moved = own if self.plan.converted is None else self._of(self.plan.converted, JUMP)
        mixed = [share - 1 for share in self._of(self.plan.mixing, MIX)]
        after = [share - 1 for (_, row), shares in self.shares.items() if row == AFTER for share in shares]

        def added(shares: Sequence[float]) -> Figure:
            return figure(told(median_interval(shares)), call_ms.value)

        def jump(course: Course) -> Figure:
            """Returns a solver's jump: its full step takes what the pipeline's own does, less that one's jump, plus its own."""
            shares, apart = self._of(course, JUMP), call_ms.value * (1 - median(own))
            return figure(median_interval([apart * share / (1 - share) for share in shares]))

        return Costs(
            outside_ms=figure(median_interval(self.outside_ms)),
            step_ms=figure(step_ms),
            call_ms=figure(call_ms),
            after_jump_ms=added(after),
            jump_ms={name: jump(course) for name, course in self.plan.solvers.items()},
            forecast_ms=added(curved),
            convert_ms=added([a - b for a, b in zip(moved, own, strict=False)]),
            mix_ms=added(mixed),
        )

    def guidance_share(self) -> Figure | None:
        """Returns what the reuse of the guidance pair saves, over all courses that do it."""
        found = [
            [1 - share for share in self._of(course, row.name)]
            for course, rows in self.plan.reuse
            for row in rows
            if row.guidance and not row.groups
        ]
        return figure(median_interval([share for each in zip(*found, strict=False) for share in each])) if found else None

    def reused(self) -> tuple[Combination, ...]:
        """Returns what the reuse of each group, and of those of a course together, saves."""
        return tuple(
            self._combination(course, row, rows)
            for course, rows in self.plan.reuse
            for row in rows
            if row.groups and not row.guidance
        )

    def _combination(self, course: Course, row: ReuseRow, rows: Sequence[ReuseRow]) -> Combination:
        both = ReuseRow(row.groups, guidance=True)
        return Combination(
            groups=row.groups,
            saved_share=self._saved(course, row),
            guided_share=self._saved(course, both) if both in rows else None,
        )

    def _saved(self, course: Course, row: ReuseRow) -> Figure:
        return figure(median_interval([1 - share for share in self._of(course, row.name)]))


def times(
    bench: Bench, plan: Plan, arguments: Arguments, device: torch.device, rounds: int, capture: Capture
) -> Generator[int, None, Times]:
    """Times all courses, each round in the opposite order of the one before; yields how many rounds are done.

    Arguments:
        bench: The pipeline.
        plan: The courses.
        arguments: Call arguments of round i.
        device: Where the networks run.
        rounds: How many.
        capture: How the network is launched under a policy.
    """
    bare, found = Contender(bench, None, plan.bare), Times(plan)
    courses = plan.courses
    for i in range(rounds):
        runs: list[tuple[Course, Steps]] = []
        around: list[Steps] = []
        for k, course in enumerate(courses if i % 2 == 0 else courses[::-1]):
            if k % BETWEEN == 0:
                around.append(timed(bare, arguments(i), device))
            contender = Contender(bench, course.policy, 0, capture)
            runs.append((course, timed(contender, arguments(i), device)))
        found.take([*around, timed(bare, arguments(i), device)], runs)
        yield i + 1
    return found


def share(steps: Sequence[float], t: int, full: Sequence[int]) -> float:
    """Returns the time of step ``t`` over the mean of the nearest full steps before and after it."""
    before, after = [s for s in full if s < t][-1:], [s for s in full if s > t][:1]
    return steps[t] / fmean(steps[s] for s in (*before, *after)) if before or after else 1.0


def figure(interval: Interval, unit: float = 1.0) -> Figure:
    """Returns a figure in another unit: that of the interval times ``unit``."""
    return Figure(value=interval.value * unit, low=interval.low * unit, high=interval.high * unit)


def told(added: Interval) -> Interval:
    """Returns what a step adds: nothing where it cannot be told from nothing."""
    return added if added.low > 0 else Interval(0.0, min(added.low, 0.0), max(added.high, 0.0))
