"""What the tuner itself costs: a proposal after a thousand trials, and its share of a trial on an embedded model.

    python -m benchmarks.overhead demo-quick

A proposal is timed on the study's space with trials that are drawn from what is foreseen, so no network is called. Some
proposals of ``auto`` draw anew and others choose among what was drawn: the mean stands beside the median. ``first_ms`` is the
first proposal of a process that goes on with such a study. The share of a trial is of a short search: all the time that is not
spent in the evaluator, which draws, compares and times. Run it with nothing else.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna

from benchmarks.record import heading, run
from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search import setting
from frdiff_tune.search.foresight import LatencyModel, QualityModel, outline_of
from frdiff_tune.search.outcome import TrialOutcome
from frdiff_tune.search.samplers import SAMPLERS, Proposal
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.space import Space
from frdiff_tune.search.study import Study
from frdiff_tune.search.tuning import tune

TRIALS = 1000
PROPOSALS, BEFORE = 60, 150
"""Proposals that are timed, and those before them that are not: a study of a thousand trials has met most solvers and step
counts of its space, and what is foreseen of their runs is kept."""
SAMPLERS_TIMED = ("auto", "tpe", "local", "nsga2", "random")
MEASURED = 12
"""Trials of the short search."""


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pipe = setting.open_pipeline(study)
    cases = setting.search_cases(study, pipe)
    space = setting.space_of(study, pipe, cases)
    rows = [_proposals(space, sampler) for sampler in SAMPLERS_TIMED]
    for row in rows:
        print(row, flush=True)
    head = heading(study, pipe, f"python -m benchmarks.overhead {study.name}", 0)
    return {**head, "parameters": len(space.distributions), "trials": TRIALS, **_share(study, pipe), "rows": rows}


def _proposals(space: Space, sampler: str) -> dict[str, Any]:
    """Returns how long a sampler takes for a proposal, in ms."""
    study, foreseen = _filled(space), _Figures(space)
    times = []
    for i in range(BEFORE + PROPOSALS):
        study.sampler = SAMPLERS[sampler](Proposal(space, 0, TRIALS + i))
        begun = time.perf_counter()
        trial = study.ask(space.distributions)
        times.append(1000 * (time.perf_counter() - begun))
        for name, value in foreseen(trial.params, f"{sampler} {i}").items():
            trial.set_user_attr(name, value)
        study.tell(trial, [trial.user_attrs["latency_ms"][0], trial.user_attrs["lpips"][0]])
    kept = times[BEFORE:]
    own = {"median_ms": median(kept), "mean_ms": fmean(kept), "worst_ms": max(kept), "first_ms": times[0]}
    return {"sampler": sampler, **{name: round(value, 1) for name, value in own.items()}}


class _Figures:
    """Makes up what a trial keeps, by what is foreseen of it before anything is measured, and some noise."""

    def __init__(self, space: Space) -> None:
        self.space, self.errors = space, space.foresight.errors
        self.quality = QualityModel(self.errors.names, [], [])
        T = space.full(space.reference_steps, self.errors.own).T
        self.latency = LatencyModel(tuple(space.groups), self.errors.solvers, T, [], [])
        self.rng = np.random.default_rng(0)

    def __call__(self, params: dict[str, Any], digest: str) -> dict[str, Any]:
        outline = outline_of(self.space, params)
        loss, ratio = self.quality([self.errors(outline)])[0][0], self.latency([outline])[0][0]
        lpips, ms = float(10 ** (loss + 0.2 * self.rng.normal())), float(100 * ratio * (1 + 0.01 * self.rng.normal()))
        figures = {"lpips": [lpips] * 3, "latency_ms": [ms] * 3, "speedup": [100 / ms] * 3}
        return {**figures, "digest": digest, "nfe": outline.nfe}


def _filled(space: Space) -> optuna.Study:
    """Returns a study of a thousand finished trials."""
    study, figures = optuna.create_study(directions=["minimize", "minimize"]), _Figures(space)
    study.set_user_attr("frdiff:reference_latency", {"median_ms": 100.0})
    candidates, params = Candidates(space, np.random.default_rng(0)), list[dict[str, Any]]()
    while len(params) < TRIALS:
        params += candidates([])
    for i, each in enumerate(params[:TRIALS]):
        kept = figures(each, str(i))
        values = [kept["latency_ms"][0], kept["lpips"][0]]
        made = optuna.trial.create_trial(params=each, distributions=space.distributions, values=values, user_attrs=kept)
        study.add_trial(made)
    return study


class _Timed:
    """An evaluator that says how long it was at work."""

    def __init__(self, evaluator: Any) -> None:  # noqa: ANN401
        self.evaluator, self.seconds = evaluator, 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.evaluator, name)

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        blocks = self.evaluator(policy, first, capture)
        while True:
            begun = time.perf_counter()
            block = next(blocks, None)
            self.seconds += time.perf_counter() - begun
            if block is None:
                return
            yield block

    def __enter__(self) -> "_Timed":
        self.evaluator.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.evaluator.__exit__(*error)


def _share(study: Study, pipe: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns the share of a trial that is not the evaluator's, per trial."""
    shares = []
    with TemporaryDirectory() as folder:
        search = study.file.search.model_copy(update={"storage": f"sqlite:///{Path(folder)}/study.db", "race": 0.0})
        own = replace(study, file=study.file.model_copy(update={"search": search}))
        timed = _Timed(setting.make_evaluator(own, pipe, setting.search_cases(own, pipe)))
        begun = time.perf_counter()
        for event in tune(own, trials=MEASURED, pipe=pipe, evaluator=timed):
            now = time.perf_counter()
            if isinstance(event, TrialOutcome):
                shares.append(1 - timed.seconds / (now - begun))
                print(f"trial {event.number}: {100 * shares[-1]:.1f} % of {now - begun:.1f} s", flush=True)
            timed.seconds, begun = 0.0, now
    return {"overhead_share": {"median": round(median(shares), 4), "worst": round(max(shares), 4), "trials": len(shares)}}


if __name__ == "__main__":
    run(__doc__, "overhead", measure)
