"""Polishing: the front's jumps, their forecast weights moved by gradient through whole runs, measured as trials of their own.

A trial's parameters say which steps are computed; what stands in between is a table of weights, and a search can only choose
among a few. Descent moves every weight towards the closest result (``descent``), at no cost in time when the policy runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import Case
from frdiff_tune.policy import Policy
from frdiff_tune.search import setting
from frdiff_tune.search.descent import RATE, descend, descendable
from frdiff_tune.search.measures import Measures
from frdiff_tune.search.outcome import POLISHED, POLISHED_FROM
from frdiff_tune.search.pareto import Front, Point, front
from frdiff_tune.search.run import Ended
from frdiff_tune.search.study import Study
from frdiff_tune.search.tuning import Preparing, opened

COUNT = 4
"""Policies that are polished."""
STEPS = 40
"""Of descent; benchmarks/results/descent-*.json shows what fewer give."""
SEEN = 4
"""Search cases that a pass draws."""
WORTH = 1.2
"""Speed-up that a policy must have."""


@dataclass(frozen=True, slots=True)
class Polishing:
    """A policy on its way.

    Arguments:
        trial: Number of the trial that it comes from.
        step: Steps of descent that are done.
        steps: Steps that there are to do.
        loss: Mean squared relative error of the result, on the cases that are seen.
        first: The same before the first step.
    """

    trial: int
    step: int
    steps: int
    loss: float
    first: float


def polish(
    study: Study,
    *,
    trials: Sequence[int] = (),
    count: int = COUNT,
    steps: int = STEPS,
    rate: float = RATE,
    pipe: Any = None,  # noqa: ANN401
    evaluator: Measures | None = None,
) -> Iterator[Polishing | Preparing | Ended]:
    """Polishes policies of a study's front, then measures them as trials of the study, which its budget does not count.

    What is polished is kept at once; if it is broken off before it is measured, the next run of the study measures it. The
    figures of such a trial lean on the few search cases that descent has seen; ``export`` measures on others, as ever.

    Arguments:
        study: A study that has trials.
        trials: Numbers of trials to polish; empty: ``count`` of the front's, spread over its network calls.
        count: How many.
        steps: Of descent.
        rate: Adam's step, in weights.
        pipe: The study's pipeline, if it is loaded already.
        evaluator: What measures; None: the real one.

    Yields:
        Each step, then how far preparation is, then each trial when it is measured.

    Raises:
        StudyError: If the study has no trial, a number is of none, or of a policy that does not only jump.
        MismatchError: If the pipeline's call cannot be run with gradients.
    """
    found = front(study)
    pipe = setting.open_pipeline(study) if pipe is None else pipe
    with ExitStack() as stack:
        run = opened(study, pipe, evaluator, stack)
        cases = _alike(setting.search_cases(study, pipe))
        done = {trial.user_attrs.get(POLISHED_FROM) for trial in run.optuna_study.get_trials(deepcopy=False)}
        for point in _chosen(found, trials, count, done):
            policy: Policy | None = None
            first = best = float("inf")
            call = study.file.call
            descent = descend(pipe, point.policy, cases, call.arguments, rate, steps=call.num_inference_steps)
            for step, each in enumerate(islice(descent, steps + 1)):
                first = each.loss if step == 0 else first
                if each.loss < best:
                    policy, best = each.policy, each.loss
                yield Polishing(point.trial.number, step, steps, each.loss, first)
            if policy is not None:
                run.enqueue_policy(policy, point.trial)
        stack.enter_context(run.evaluator)
        yield from (Preparing(*progress) for progress in run.evaluator.prepare())
        yield from run.waiting()


def _alike(cases: Sequence[Case]) -> Sequence[Case]:
    return [case for case in cases if case.kind == cases[0].kind][:SEEN]


def _chosen(found: Front, numbers: Sequence[int], count: int, done: set[Any]) -> list[Point]:
    """Returns the points to polish: those that are named, else some of the front that were not polished yet.

    Raises:
        StudyError: If one that is named cannot be.
    """
    by_number = {point.trial.number: point for point in found.points}
    for number in numbers:
        if number not in by_number:
            raise StudyError(f"`trials` must name finished trials but got {number}. `frdiff-tune front` lists the best.")
        if not descendable(by_number[number].policy):
            raise StudyError(
                f"`trials` must name policies that only jump but trial {number} reuses features, mixes scores or computes "
                f"every step. Name another, or leave the choice to the front."
            )
    if numbers:
        return [by_number[number] for number in numbers]
    able = [point for point in found.best if descendable(point.policy) and point.trial.speedup.value >= WORTH]
    able = [point for point in able if point.trial.number not in done and point.trial.family != POLISHED]
    return [able[i * (len(able) - 1) // max(count - 1, 1)] for i in range(count)] if len(able) > count else able
