"""Courses: runs whose steps differ, so that what a step saves or adds is measured within one run.

A machine's pace changes within seconds. So a course compares each kind of step with the full steps of the same run, and a
profile is what several rounds of all courses agree on.

    reuse     full, then each group alone, all together, and the same with the guidance pair reused as well, in turn
    nested    full, then a group of whole blocks with what of another group lies outside it
    jumps     two full steps, then two that call no network, by one solver; also with scores that are extrapolated from three
              keyframes, and with scores in another variable
    mixing    steps that compute, and steps that compute and mix with a jump score, in turn
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy, make_scheduler
from frdiff_tune.runtime.families import GUIDANCE
from frdiff_tune.runtime.variable import Variable

Sites = tuple[str, ...]
FULL, AFTER, JUMP, MIX = "full", "after a jump", "jump", "mix"
TWICE = 2  # every kind of step comes so often in a course
STEPS = 12  # of a course of jumps, of one that mixes, and of the bare run beside them, at least
PERIOD = 4  # of a course of jumps
QUADRATIC = 2  # order of the extrapolation that is timed


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

    def nested(self, groups: Mapping[str, Sites]) -> Iterator[tuple[Course, tuple[ReuseRow, ...]]]:
        """Yields courses of two groups that meet: the outer one, and what of the other one lies outside it."""
        guided = [name for name, sites in groups.items() if set(sites) == {GUIDANCE}][:1]
        inner = {name: sites for name, sites in groups.items() if set(sites) != {GUIDANCE}}
        for outer, other in permutations(inner, 2):
            rest = tuple(site for site in inner[other] if not meets([site], inner[outer]))
            if len(rest) < len(inner[other]) and rest and holds(inner[outer], inner[other]):
                both = (outer, other)
                rows = (ReuseRow((), False), ReuseRow(both, False), *(ReuseRow(both, True) for _ in guided))
                parts = {outer: inner[outer], other: rest, **{name: groups[name] for name in guided}}
                yield self._reuse(parts, rows, guided), rows

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
        return self._walk.steps(STEPS)

    def jumps(self, scheduler: str | None = None, order: int = 0, variable: Variable = "output") -> Course:
        """Returns a course of jumps.

        Arguments:
            scheduler: Class name of another solver; None: the pipeline's.
            order: Of the scores' extrapolation.
            variable: What scores are stored as.

        Raises:
            MismatchError: If the pipeline cannot run the solver.
        """
        own = None if scheduler is None else make_scheduler(self._pipe, scheduler)
        steps = self._walk.steps(STEPS, own)
        T = self._walk.T(steps, own)
        keyframes = [t for t in range(T) if t % PERIOD < 2]
        policy = keyframe_policy(
            self._pipe, steps, keyframes, 0.0, groups=(), order=order, variable=variable, T=T, scheduler=own
        )
        later = range(PERIOD, T)  # before, solvers of several steps are on their way to their full order
        rows = {AFTER: [t for t in later if t % PERIOD == 0], FULL: [t for t in later if t % PERIOD == 1]}
        rows[JUMP] = [t for t in later if t % PERIOD > 1]
        return Course(f"jumps {scheduler or ''} {order} {variable}", policy, {name: tuple(at) for name, at in rows.items()})

    def extrapolated(self) -> Course:
        """Returns a course of jumps whose scores are extrapolated."""
        return self.jumps(order=QUADRATIC)

    def converted(self) -> Course | None:
        """Returns a course of jumps whose scores are stored in another variable; None if the pipeline has no other."""
        prediction = self._pipe.scheduler.config.get("prediction_type", "flow_prediction")
        try:
            return self.jumps(variable="sample" if prediction == "epsilon" else "epsilon")
        except MismatchError:
            return None

    def mixing(self) -> Course:
        """Returns a course in which every other step mixes."""
        steps = self._walk.steps(STEPS)
        T = self._walk.T(steps)
        policy = keyframe_policy(self._pipe, steps, [0], [1.0 if t % 2 == 0 else 0.5 for t in range(T)], groups=(), T=T)
        return Course(MIX, policy, {FULL: tuple(range(2, T, 2)), MIX: tuple(range(1, T, 2))})

    def solvers(self, names: Sequence[str]) -> dict[str, Course]:
        """Returns a course of jumps for each solver that the pipeline can run, by class name; its own is always one."""
        found = {type(self._pipe.scheduler).__name__: self.jumps()}
        for name in names:
            try:
                if name not in found:
                    found[name] = self.jumps(name)
            except MismatchError:
                continue  # the pipeline cannot run it, so no policy has it
        return found


def apart(groups: Mapping[str, Sites]) -> list[dict[str, Sites]]:
    """Returns the groups in parts, each group in the first none of whose sites it meets; those of whole blocks come first."""
    parts: list[dict[str, Sites]] = []
    for name, sites in sorted(groups.items(), key=lambda item: min(site.count(".") for site in item[1])):
        fitting = next((part for part in parts if not any(meets(sites, other) for other in part.values())), None)
        if fitting is None:
            parts.append({name: sites})
        else:
            fitting[name] = sites
    return parts


def holds(outer: Sequence[str], inner: Sequence[str]) -> bool:
    """Whether a site of the first group holds one of the second."""
    return any(site.startswith(f"{block}.") for site in inner for block in outer)


def outermost(sites: Iterable[str]) -> frozenset[str]:
    """Returns the sites that lie inside no other."""
    found = set(sites)
    return frozenset(site for site in found if not any(site.startswith(f"{other}.") for other in found))


def meets(sites: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a site of one group is, lies inside, or holds one of the other."""
    return any(a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") for a in sites for b in others)
