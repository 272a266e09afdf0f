"""Courses: runs whose steps differ, so that what a step saves or adds is measured within one run.

A machine's pace changes within seconds. So a course compares each kind of step with the full steps of the same run, and a
profile is what several rounds of all courses agree on.

    reuse     full, then each group alone, all together, and the same with the guidance pair reused as well, in turn
    jumps     full, and then steps that call no network, of one solver
    forecast  the same, their scores extrapolated from three keyframes, or in another variable
    mixing    steps that compute, and steps that compute and mix with a jump score, in turn
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy, make_scheduler
from frdiff_tune.runtime.families import GUIDANCE

Sites = tuple[str, ...]
FULL, JUMP, MIX = "full", "jump", "mix"
TWICE = 2  # every kind of step comes so often in a course
JUMPS = 12  # steps of a course of jumps, at least


@dataclass(frozen=True, slots=True)
class Course:
    """A run, and what each of its steps does.

    Arguments:
        name: What it measures.
        policy: What is run.
        rows: Kind of step -> the steps of that kind; ``"full"`` is one. Steps whose pace is not that of others are in none.
    """

    name: str
    policy: Policy
    rows: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ReuseRow:
    """A kind of step that reuses.

    Arguments:
        groups: What it reuses, beside the guidance pair.
        guidance: Whether it reuses the guidance pair.
    """

    groups: tuple[str, ...]
    guidance: bool

    @property
    def name(self) -> str:
        """Its name among the rows of a course."""
        return " + ".join((*self.groups, *((GUIDANCE,) if self.guidance else ()))) or FULL


class Courses:
    """The courses of one pipeline and call.

    Arguments:
        pipe: The pipeline.
        walk: How many steps its calls walk.
    """

    def __init__(self, pipe: Any, walk: Walk) -> None:  # noqa: ANN401
        self._pipe, self._walk = pipe, walk

    def reuse(self, groups: Mapping[str, Sites]) -> Iterator[tuple[Course, tuple[ReuseRow, ...]]]:
        """Yields courses in which every group is reused, with their rows; groups that meet are in different courses."""
        guided = [name for name, sites in groups.items() if set(sites) == {GUIDANCE}]
        inner = {name: sites for name, sites in groups.items() if name not in guided}
        for part in apart(inner) or ([{}] if guided else []):
            alone = [(), *((name,) for name in part), *([tuple(part)] if len(part) > 1 else [])]
            rows = tuple(ReuseRow(names, guidance) for guidance in ((False, True) if guided else (False,)) for names in alone)
            yield self._reuse({**part, **{name: groups[name] for name in guided[:1]}}, rows, guided[:1]), rows

    def _reuse(self, groups: Mapping[str, Sites], rows: Sequence[ReuseRow], guided: Sequence[str]) -> Course:
        """Returns a course of rows: a full step, two that reuse, a full step, and so on."""
        reusing = [row for row in rows if row.groups or row.guidance]
        turns: list[ReuseRow] = []
        for i, row in enumerate(reusing * TWICE):
            turns += [rows[0], row] if i % 2 == 0 else [row]
        steps = self._walk.steps(len(turns) + 2)
        T = self._walk.T(steps)
        by_step = [rows[0], *(turns[t % len(turns)] for t in range(T - 1))]
        policy = keyframe_policy(self._pipe, steps, [0], mixing=1.0, groups=groups, T=T)
        masks = {
            name: "".join("0" if (row.guidance if name in guided else name in row.groups) else "1" for row in by_step)
            for name in groups
        }
        places = {row.name: tuple(t for t in range(1, T) if by_step[t] == row) for row in rows}
        return Course("reuse " + ", ".join(groups), policy.replace(masks=masks), places)

    def bare(self) -> int:
        """Returns the step count of the bare run that stands beside the courses."""
        return self._walk.steps(JUMPS)

    def jumps(self, scheduler: str | None = None, order: int = 0, variable: Any = "output") -> Course:  # noqa: ANN401
        """Returns a course of jumps.

        Arguments:
            scheduler: Class name of another solver; None: the pipeline's.
            order: Of the scores' extrapolation.
            variable: What scores are stored as.

        Raises:
            MismatchError: If the pipeline cannot run the solver or the variable.
        """
        own = None if scheduler is None else make_scheduler(self._pipe, scheduler)
        steps = self._walk.steps(JUMPS, own)
        T = self._walk.T(steps, own)
        half = T // 2
        keyframes = [*range(order + 1), half]
        policy = keyframe_policy(
            self._pipe, steps, keyframes, 0.0, groups=(), order=order, variable=variable, T=T, scheduler=own
        )
        after = order + 2  # solvers of several steps begin with fewer, and caches are cold
        rows = {FULL: (*range(1, order + 1), half), JUMP: tuple(t for t in range(after, T) if t != half)}
        return Course(f"jumps {scheduler or ''} {order} {variable}", policy, rows)

    def mixing(self) -> Course:
        """Returns a course in which every other step mixes."""
        steps = self._walk.steps(JUMPS)
        T = self._walk.T(steps)
        policy = keyframe_policy(self._pipe, steps, [0], [1.0 if t % 2 == 0 else 0.5 for t in range(T)], groups=(), T=T)
        return Course(MIX, policy, {FULL: tuple(range(2, T, 2)), MIX: tuple(range(1, T, 2))})

    def solvers(self, names: Sequence[str]) -> dict[str, Course]:
        """Returns a course of jumps for each solver that the pipeline can run, by class name; its own is always one."""
        own = type(self._pipe.scheduler).__name__
        found = {own: self.jumps()}
        for name in names:
            try:
                found.setdefault(name, found.get(name) or self.jumps(name))
            except MismatchError:
                continue  # it cannot run it, so no policy will have it
        return found


def apart(groups: Mapping[str, Sites]) -> list[dict[str, Sites]]:
    """Returns the groups in as few parts as come up when each goes to the first part none of whose sites it meets."""
    parts: list[dict[str, Sites]] = []
    for name, sites in groups.items():
        fitting = next((part for part in parts if not any(meets(sites, other) for other in part.values())), None)
        if fitting is None:
            parts.append({name: sites})
        else:
            fitting[name] = sites
    return parts


def meets(sites: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a site of one group is, lies inside, or holds one of the other."""
    return any(a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") for a in sites for b in others)
